"""What becomes of a launch whose user goes meanwhile: a logout ends nothing, a lost right takes everything back.

The launch is held at a place by the fake hypervisor's own delay, or by the image service's; the deed is done there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.simulation import simulate
from tests.cloud import Life, User, World
from tests.holdings import holdings, violations
from tests.security.test_callers import (
    change_password,
    delete_user,
    disable_project,
    disable_user,
    log_out,
    remove_role,
)

Deed = Callable[[User, User], Awaitable[None]]


async def expire(admin: User, weak: User) -> None:
    """The token's time is over, by a clock that jumps."""
    runtime = admin.world.runtime
    assert isinstance(runtime, Life)
    runtime.clock_offset_s += 86_400.0


def launch_during(state: Path, deed: Deed, *, delay: str, seed: int = 1) -> tuple[Any, list[str], list[Any], World]:
    """A launch with a port and a volume, the deed while it is under way; the server, and what is left at the end."""

    async def story(chance: Any) -> tuple[Any, list[str], list[Any], World]:
        world = World(state, chance, hosts=1)
        await world.start()
        admin = await world.admin()
        weak = await admin.create_user("weak", await admin.create_project("small"))
        flavor, image, network = await _wanted(admin)
        body = {
            "name": "held", "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}],
            "block_device_mapping_v2": [
                {"source_type": "image", "uuid": image, "destination_type": "local", "boot_index": 0},
                {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": -1},
            ],
            "metadata": {"pileus:delay": delay},
        }  # fmt: skip
        made = await weak.post("compute", "/servers", {"server": body})
        server_id = made["server"]["id"]
        await deed(admin, weak)
        await world.settle()
        server = (await admin.get("compute", f"/servers/{server_id}"))["server"]
        held, found = holdings(state), await world.audit()
        left = [*violations(held), *(held.of(server_id) if server["status"] == "ERROR" else [])]
        await world.stop()
        return server, left, found, world

    return simulate(seed, story)


async def _wanted(admin: User) -> tuple[str, str, str]:
    """What a launch needs, for everybody to use."""
    image = await admin.create_image("disk", visibility="public")
    network = await admin.create_network("net")
    await admin.need("network", "PUT", f"/networks/{network}", {"network": {"shared": True}})
    return await admin.create_flavor("small"), image, network


@pytest.mark.parametrize("deed", [log_out, expire])
def test_a_logout_or_an_expired_token_ends_no_launch(tmp_path: Path, deed: Deed) -> None:
    server, left, found, _ = launch_during(tmp_path / "cloud", deed, delay="spawn:30")
    assert server["status"] == "ACTIVE", server.get("fault")
    assert (left, found) == ([], [])


LOST = (disable_user, disable_project, remove_role, delete_user, change_password)


@pytest.mark.parametrize("deed", LOST, ids=lambda deed: deed.__name__)
def test_a_lost_right_takes_the_launch_back_and_says_why(tmp_path: Path, deed: Deed) -> None:
    server, left, found, world = launch_during(tmp_path / "cloud", deed, delay="spawn:30")
    assert server["status"] == "ERROR", server
    fault = server["fault"]["message"]
    assert "user" in fault and "rights" in fault, fault
    assert (left, found) == ([], [])
    assert world.rows("SELECT secret FROM compute_flows WHERE secret IS NOT NULL") == []


@pytest.mark.parametrize("seed", range(8))
def test_whenever_the_right_is_lost_nothing_is_left_behind(tmp_path: Path, seed: int) -> None:
    async def some_time_later(admin: User, weak: User) -> None:
        await asyncio.sleep(admin.world.chance.random() * 0.06 if admin.world.chance else 0)
        await LOST[seed % len(LOST)](admin, weak)

    server, left, found, _ = launch_during(tmp_path / "cloud", some_time_later, delay="spawn:0", seed=seed)
    assert server["status"] in ("ACTIVE", "ERROR")
    assert server["status"] == "ACTIVE" or "rights" in server["fault"]["message"], server["fault"]
    assert (left, found) == ([], [])
