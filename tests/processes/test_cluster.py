"""A cloud of one process for each part, several of what may be several: nothing but the configuration differs."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.cloud import User
from tests.conftest import Run
from tests.processes.cluster import Cluster, cluster

Story = Callable[[Cluster], Awaitable[None]]


def play(run: Run, path: Path, story: Story) -> None:
    async def whole() -> None:
        (path / "state").mkdir()
        database, bus = f"sqlite:///{path}/state/pileus.db", f"hub://{path}/bus.sock"
        async with cluster(path, database=database, bus=bus) as there:
            await story(there)

    run(whole)


async def all_parts(there: Cluster) -> None:
    """One process of each part, two of each that holds no state."""
    await there.add("hub", "hub")
    await asyncio.gather(
        there.add("identity-1", "identity"),
        there.add("image-1", "image"),
        there.add("network-1", "network"),
        there.add("volume-1", "volume"),
        there.add("placement-1", "placement"),
        there.add("operations-1", "operations"),
    )
    await asyncio.gather(
        there.add("compute-api-1", "compute-api"),
        there.add("compute-api-2", "compute-api"),
        there.add("scheduler-1", "scheduler"),
        there.add("scheduler-2", "scheduler"),
        there.add("conductor-1", "conductor"),
        there.add("conductor-2", "conductor"),
    )
    await asyncio.gather(
        there.add("compute-host-one", "compute-host", host="one"),
        there.add("volume-host-one", "volume-host", host="one"),
    )


async def prepared(there: Cluster) -> tuple[User, User, dict[str, Any]]:
    admin = await there.admin()
    user = await admin.create_user("somebody", await admin.create_project("theirs"))
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    network = await user.create_network("net")
    return admin, user, {"flavor": flavor, "image": image, "networks": [{"uuid": network}]}


async def audit(admin: User) -> list[Any]:
    async def is_clean() -> tuple[bool, Any]:
        found = (await admin.get("pileus", "/audit"))["findings"]
        return not found, found

    return list(await admin.until(is_clean, "the audit is clean", 60))


DOES = {  # step of the launch -> the part whose process does it
    1: "identity", 2: "identity", 3: "compute-api", 4: "compute-api", 5: "compute-api", 6: "compute-api",
    7: "compute-api", 8: "compute-api", 9: "scheduler", 10: "scheduler", 11: "scheduler", 12: "scheduler",
    13: "compute-host", 14: "compute-host", 15: "conductor", 16: "conductor", 17: "conductor", 18: "compute-host",
    19: "compute-host", 20: "image", 21: "compute-host", 22: "compute-host", 23: "network", 24: "compute-host",
    25: "compute-host", 26: "volume", 27: "compute-host", 28: "compute-host",
}  # fmt: skip


def test_a_launch_with_a_volume_goes_through_every_part_and_each_step_names_its_process(
    tmp_path: Path, run: Run
) -> None:
    async def story(there: Cluster) -> None:
        await all_parts(there)
        admin, user, options = await prepared(there)
        volume = await user.create_volume("data")
        await user.volume_at_rest(volume, 60)
        devices = [
            {"uuid": options["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
        server = await user.launch("first", block_device_mapping_v2=devices, **options)
        found = await user.at_rest(server, 60)
        assert found is not None and found["status"] == "ACTIVE", found
        trace = await admin.get("pileus", f"/traces/{server}")
        (attempt,) = trace["attempts"]
        assert attempt["missing"] == []
        where = {step["step"]: step["process"].rpartition("-")[0] for step in attempt["steps"] if not step["sub"]}
        assert where == {step: part if part != "compute-host" else "compute-host" for step, part in DOES.items()}
        assert await audit(admin) == []
        await user.delete("compute", f"/servers/{server}")
        assert await user.at_rest(server, 60) is None
        assert await audit(admin) == []

    play(run, tmp_path, story)
