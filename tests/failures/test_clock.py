"""A wall clock that jumps: launches and deletes go on, traces stay whole, and hosts stay up."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.simulation import simulate
from tests.cloud import Life, World
from tests.holdings import holdings, violations


@pytest.mark.parametrize("jump_s", [-7200.0, -3.0, 7200.0, -90 * 86400.0])
@pytest.mark.parametrize("seed", range(3))
def test_launches_and_deletes_go_on_through_a_jump(tmp_path: Path, seed: int, jump_s: float) -> None:
    async def story(chance: Any) -> tuple[list[str], list[Any]]:
        world = World(tmp_path, chance)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        network = await admin.create_network("net")
        wanted: Any = {"flavor": flavor, "image": image, "networks": [{"uuid": network}]}
        ids = [await admin.launch(f"s{n}", metadata={"pileus:delay": "spawn:2"}, **wanted) for n in range(4)]
        await world.runtime.sleep(chance.random() * 2.5)
        assert isinstance(world.runtime, Life)
        world.runtime.clock_offset_s += jump_s
        gone = ids.pop()
        await admin.delete("compute", f"/servers/{gone}")
        ids.append(await admin.launch("after", **wanted))
        for server_id in ids:
            server = await admin.at_rest(server_id)
            assert server is not None and server["status"] == "ACTIVE", server
            trace = await admin.get("pileus", f"/traces/{server_id}")
            steps = trace["attempts"][-1]["steps"]
            assert {step["step"] for step in steps} == set(range(1, 29)), server_id
        assert await admin.at_rest(gone) is None
        await world.settle()
        found = await world.audit()
        await world.stop()
        return violations(holdings(tmp_path)), found

    assert simulate(seed, story) == ([], [])


def test_hosts_stay_up_when_the_clock_jumps(tmp_path: Path) -> None:
    async def story(chance: Any) -> None:
        world = World(tmp_path, chance, hosts=2)
        await world.start()
        admin = await world.admin()
        assert isinstance(world.runtime, Life)
        for jump_s in (-86400.0, 2 * 86400.0):
            world.runtime.clock_offset_s += jump_s
            services = (await admin.get("compute", "/os-services"))["services"]
            assert {one["state"] for one in services} == {"up"}
            await world.runtime.sleep(60.0)
            services = (await admin.get("compute", "/os-services"))["services"]
            assert {one["state"] for one in services} == {"up"}
        await world.stop()

    simulate(1, story)
