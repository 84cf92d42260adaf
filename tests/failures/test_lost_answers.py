"""The scheduler's answer is lost for good: the launch is tried again, though the guest has come up meanwhile."""

from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.bus import Fate
from pileus.foundation.simulation import simulate
from tests.cloud import World
from tests.holdings import GUESTS, guests_in, holdings, violations

ASKED = 4
"""So often is the scheduler asked in one attempt."""


def is_choice(reply: bytes) -> bool:
    """Whether a message answers `select_host`."""
    result = msgspec.msgpack.decode(reply).get("result")
    return isinstance(result, dict) and result.keys() == {"host", "epoch", "build"}


def test_a_guest_that_came_up_is_not_built_again_when_its_attempt_was_given_up(tmp_path: Path) -> None:
    lost: list[str] = []

    def fate(topic: str, message: bytes) -> Fate:
        if topic.startswith("reply") and is_choice(message) and len(lost) < ASKED:
            lost.append(topic)
            return Fate(copies=0)
        return Fate()

    async def story(chance: Any) -> tuple[list[str], list[Any]]:
        world = World(tmp_path, chance, hosts=2)
        world.fate = fate
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        networks = [{"uuid": await admin.create_network("net")}]
        server_id = await admin.launch("first", flavor=flavor, image=image, networks=networks)
        server = await admin.at_rest(server_id)
        assert server is not None and server["status"] == "ACTIVE", server
        body = {"interfaceAttachment": {"net_id": networks[0]["uuid"]}}
        await admin.post("compute", f"/servers/{server_id}/os-interface", body)
        await world.settle()
        assert len(lost) == ASKED
        guests = [guest for file in tmp_path.glob(f"hosts/*/{GUESTS}") for guest in guests_in(file)]
        assert [(guest.server_id, guest.boots, len(guest.ports)) for guest in guests] == [(server_id, 1, 2)]
        assert [flow for flow in await world.open_flows() if flow["subject"] == server_id] == []
        found = await world.audit()
        await world.stop()
        return violations(holdings(tmp_path)), found

    assert simulate(1, story) == ([], [])
