"""How much each provider has of each resource class."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.foundation.database import Database, Transaction, sql
from pileus.placement.domain.inventory import Inventory

_COLUMNS = "class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used, updated_at"
_OF = sql(f"SELECT {_COLUMNS} FROM placement_inventories WHERE provider = :provider ORDER BY class")
_ONE = sql(f"SELECT {_COLUMNS} FROM placement_inventories WHERE provider = :provider AND class = :class")
_SET = sql(
    "INSERT INTO placement_inventories (provider, class, total, reserved, min_unit, max_unit, step_size, "
    "allocation_ratio, capacity, used, updated_at) VALUES (:provider, :class, :total, :reserved, :min_unit, :max_unit, "
    ":step_size, :allocation_ratio, :capacity, 0, :now) ON CONFLICT (provider, class) DO UPDATE SET "
    "total = excluded.total, reserved = excluded.reserved, min_unit = excluded.min_unit, "
    "max_unit = excluded.max_unit, step_size = excluded.step_size, allocation_ratio = excluded.allocation_ratio, "
    "capacity = excluded.capacity, updated_at = excluded.updated_at"
)
_DROP_IDLE = sql("DELETE FROM placement_inventories WHERE provider = :provider AND class IN :classes* AND used = 0")
_USED = sql(
    "SELECT class FROM placement_inventories WHERE provider = :provider AND class IN :classes* AND used <> 0 "
    "ORDER BY class"
)

Reader = Database | Transaction


async def of_provider(reader: Reader, provider: str) -> Mapping[str, Inventory]:
    """What a provider has, by class."""
    return {row["class"]: _inventory(row) for row in await reader.all(_OF, provider=provider)}


async def find(reader: Reader, provider: str, resource_class: str) -> Inventory | None:
    row = await reader.one(_ONE, **{"provider": provider, "class": resource_class})
    return None if row is None else _inventory(row)


async def write(tx: Transaction, provider: str, inventory: Inventory, now: int) -> None:
    """Have this inventory; what is used of it stays as it is."""
    values: dict[str, Any] = {
        "provider": provider,
        "class": inventory.resource_class,
        "total": inventory.total,
        "reserved": inventory.reserved,
        "min_unit": inventory.min_unit,
        "max_unit": inventory.max_unit,
        "step_size": inventory.step_size,
        "allocation_ratio": inventory.allocation_ratio,
        "capacity": inventory.capacity,
        "now": now,
    }
    await tx.run(_SET, **values)


async def drop(tx: Transaction, provider: str, classes: Sequence[str]) -> Sequence[str]:
    """Take inventories away and return those that could not go because consumers hold some of them."""
    if await tx.run(_DROP_IDLE, provider=provider, classes=list(classes)) == len(classes):
        return ()
    return [row["class"] for row in await tx.all(_USED, provider=provider, classes=list(classes))]


def _inventory(row: Any) -> Inventory:
    return Inventory(*row)
