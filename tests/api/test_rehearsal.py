"""A user rehearses failures by metadata: asked for at the launch, and changed while the server runs."""

import random
from pathlib import Path

from pileus.foundation.simulation import simulate
from tests.cloud import World


def test_failures_follow_the_metadata_of_a_running_server(tmp_path: Path) -> None:
    async def history(chance: random.Random) -> None:
        world = World(tmp_path / "cloud", chance)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        server = await admin.launch("s", flavor=flavor, image=image)
        await admin.at_rest(server)
        await admin.post("compute", f"/servers/{server}/metadata", {"metadata": {"pileus:fail": "reboot"}})
        assert (await admin.act(server, "reboot", {"type": "SOFT"})).status == 202
        found = await admin.at_rest(server)
        assert found is not None
        actions = (await admin.get("compute", f"/servers/{server}/os-instance-actions"))["instanceActions"]
        assert next(one for one in actions if one["action"] == "reboot")["message"] == "Error"
        await admin.delete("compute", f"/servers/{server}/metadata/pileus:fail")
        assert (await admin.act(server, "reboot", {"type": "HARD"})).status == 202
        again = await admin.at_rest(server)
        assert again is not None
        assert again["status"] == "ACTIVE"
        await world.stop()

    simulate(6, history)


def test_a_server_that_no_host_can_build_is_in_error_with_the_reason_and_holds_nothing(tmp_path: Path) -> None:
    async def history(chance: random.Random) -> None:
        world = World(tmp_path / "cloud", chance, hosts=3)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        server = await admin.launch("s", flavor=flavor, image=image, metadata={"pileus:fail": "spawn"})
        found = await admin.at_rest(server)
        assert found is not None
        assert found["status"] == "ERROR"
        assert found["fault"]["message"]
        await world.settle()
        assert world.rows("SELECT 1 FROM placement_allocations") == []
        trace = await (await world.admin()).get("pileus", f"/traces/{server}")
        assert [attempt["outcome"] for attempt in trace["attempts"]] == ["failed"] * 3
        assert len({attempt["host"] for attempt in trace["attempts"]}) == 3
        await world.stop()

    simulate(7, history)
