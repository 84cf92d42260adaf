"""Each violation that placement's audit promises to find is planted, and found."""

from collections.abc import Callable
from typing import Any

import pytest

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.runtime import Runtime
from pileus.placement.app.audit import audit
from tests.api.placement_cloud import PlacementCloud, start, uuid

HOST, CHILD, SERVER = uuid(1), uuid(2), uuid(100)


async def inhabited(database: Database, runtime: Runtime) -> PlacementCloud:
    cloud = await start(database, runtime)
    await cloud.host(HOST, VCPU=8, MEMORY_MB=1024)
    await cloud.host(CHILD, parent=HOST, VGPU=2)
    traits = {"resource_provider_generation": 1, "traits": ["COMPUTE_NODE"]}
    assert (await cloud.ask("PUT", f"/resource_providers/{HOST}/traits", traits)).status == 200
    assert (await cloud.claim(SERVER, amounts={HOST: {"VCPU": 2}, CHILD: {"VGPU": 1}})).status == 204
    return cloud


async def plant(database: Database, text: str) -> None:
    async def work(tx: Transaction) -> None:
        assert await tx.run(sql(text))

    await database.transact(work)


PLANTED = [
    ("UPDATE placement_inventories SET used = used + 1 WHERE class = 'VCPU'", "the use of an inventory"),
    ("UPDATE placement_allocations SET amount = 1 WHERE class = 'VCPU'", "the use of an inventory"),
    ("UPDATE placement_inventories SET capacity = 1 WHERE class = 'VCPU'", "capacity is never exceeded"),
    ("DELETE FROM placement_inventories WHERE class = 'VGPU'", "nobody holds what a provider does not have"),
    ("DELETE FROM placement_consumers", "every allocation has its consumer"),
    ("DELETE FROM placement_allocations", "every consumer holds something"),
    (f"DELETE FROM placement_providers WHERE uuid = '{CHILD}'", "every inventory has its provider"),
    (f"UPDATE placement_providers SET root = uuid WHERE uuid = '{CHILD}'", "every provider is in its tree"),
    ("UPDATE placement_providers SET parent = 'gone' WHERE parent IS NOT NULL", "every provider is in its tree"),
    ("DELETE FROM placement_provider_traits", "a provider's list of traits is whole"),
]


@pytest.mark.parametrize(("planted", "invariant"), PLANTED)
def test_audit_finds_what_is_planted(
    run: Callable[..., Any], database: Database, runtime: Runtime, planted: str, invariant: str
) -> None:
    async def story() -> list[dict[str, Any]]:
        cloud = await inhabited(database, runtime)
        assert await audit(cloud.placement) == []
        await plant(database, planted)
        return await audit(cloud.placement)

    found = run(story)
    assert any(each["invariant"].startswith(invariant) for each in found), found
    assert all(each["mend"] and each["subject"] for each in found)
