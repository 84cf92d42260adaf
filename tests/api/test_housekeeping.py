"""History is bounded: what was deleted long ago is forgotten whole, what lives and what is recent is not."""

import dataclasses
import random
from pathlib import Path

from msgspec.structs import replace

from pileus.compute.app.housekeeping import tidy
from pileus.foundation.simulation import simulate
from tests.cloud import World


def test_servers_deleted_long_ago_are_forgotten_with_all_that_was_done_to_them(tmp_path: Path) -> None:
    async def history(chance: random.Random) -> None:
        world = World(tmp_path / "cloud", chance)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        ids = [await admin.launch(f"s{number}", flavor=flavor, image=image) for number in range(4)]
        for server in ids:
            await admin.at_rest(server)
        for server in ids[:3]:
            await admin.delete("compute", f"/servers/{server}")
            await admin.at_rest(server)
        settings = replace(world.cloud.compute.settings, deleted_keep=1, deleted_keep_s=3600.0)

        compute = dataclasses.replace(world.cloud.compute, settings=settings)
        assert await tidy(compute) == 0
        await world.runtime.sleep(2 * 3600)
        assert await tidy(compute) == 2
        known = {row["id"] for row in world.rows("SELECT id FROM compute_deleted_servers")}
        assert known == {ids[2]}
        for table, column in (("compute_flows", "subject"), ("compute_server_actions", "server_id"),
                              ("compute_server_events", "server_id")):  # fmt: skip
            left = {row[0] for row in world.rows(f"SELECT {column} FROM {table}")}
            assert left.isdisjoint(ids[:2]), table
        assert (await (await world.admin()).get("pileus", f"/traces/{ids[3]}"))["attempts"][0]["missing"] == []
        await world.stop()

    simulate(4, history)
