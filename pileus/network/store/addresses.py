"""Who has which address, and what is free: allocation in a handful of index look-ups, however large the pool.

`network_free` holds the gaps; an allocation takes the first free address at or after the subnet's cursor, so that an
address that was given back rests until the pool has gone round once. The primary key of `network_addresses` is what
makes a second owner impossible; the rest only finds a free one fast. Whoever takes or gives is alone in the network
(`app/alone.py`), or gaps would be cut twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pileus.foundation.database import Database, Transaction, sql
from pileus.foundation.errors import ConcurrentChange
from pileus.network.domain.address import Address, Range, free_ranges, unpack
from pileus.network.domain.subnet import Subnet

_CURSOR = sql("SELECT next_address FROM network_subnets WHERE id = :subnet_id")
_SET_CURSOR = sql("UPDATE network_subnets SET next_address = :next_address WHERE id = :subnet_id")
_FREE_FROM = sql(
    "SELECT first_address, last_address FROM network_free "
    "WHERE subnet_id = :subnet_id AND last_address >= :address ORDER BY last_address LIMIT 1"
)
_FREE_ENDING = sql(
    "SELECT first_address FROM network_free WHERE subnet_id = :subnet_id AND last_address = :last_address"
)
_INSERT_FREE = sql(
    "INSERT INTO network_free (subnet_id, first_address, last_address) "
    "VALUES (:subnet_id, :first_address, :last_address)"
)
_SHRINK_FREE = sql(
    "UPDATE network_free SET first_address = :new_first "
    "WHERE subnet_id = :subnet_id AND last_address = :last_address AND first_address = :first_address"
)
_DELETE_FREE = sql(
    "DELETE FROM network_free "
    "WHERE subnet_id = :subnet_id AND last_address = :last_address AND first_address = :first_address"
)
_CLEAR_FREE = sql("DELETE FROM network_free WHERE subnet_id = :subnet_id")

_TAKE = sql(
    "INSERT INTO network_addresses (subnet_id, address, family, port_id) "
    "VALUES (:subnet_id, :address, :family, :port_id)"
)
_OWNER = sql("SELECT port_id FROM network_addresses WHERE subnet_id = :subnet_id AND address = :address")
_GIVE = sql("DELETE FROM network_addresses WHERE subnet_id = :subnet_id AND address = :address AND port_id = :port_id")
_OF_PORT = sql("SELECT subnet_id, address, family FROM network_addresses WHERE port_id = :port_id")
_OF_SUBNET = sql("SELECT address FROM network_addresses WHERE subnet_id = :subnet_id")
_PORTS_OF_SUBNET = sql("SELECT DISTINCT port_id FROM network_addresses WHERE subnet_id = :subnet_id")
_CLEAR_SUBNET = sql("DELETE FROM network_addresses WHERE subnet_id = :subnet_id")


class Held(NamedTuple):
    """An address that a port has."""

    subnet_id: str
    address: Address


# -- pools --------------------------------------------------------------------------------------------------------
async def open_pools(tx: Transaction, subnet: Subnet) -> None:
    """Make a new subnet's pools free."""
    for item in free_ranges(subnet.pools, ()):
        await _insert_free(tx, subnet.id, item)


async def rebuild_pools(tx: Transaction, subnet: Subnet) -> None:
    """Make free what of the subnet's pools nobody has: after the pools were changed."""
    taken = [int.from_bytes(row["address"], "big") for row in await tx.all(_OF_SUBNET, subnet_id=subnet.id)]
    await tx.run(_CLEAR_FREE, subnet_id=subnet.id)
    for item in free_ranges(subnet.pools, taken):
        await _insert_free(tx, subnet.id, item)


async def close_pools(tx: Transaction, subnet_id: str) -> None:
    """Forget a subnet's free and taken addresses, before the subnet itself goes."""
    await tx.run(_CLEAR_FREE, subnet_id=subnet_id)
    await tx.run(_CLEAR_SUBNET, subnet_id=subnet_id)


# -- allocation ---------------------------------------------------------------------------------------------------
async def take_any(tx: Transaction, subnet: Subnet, port_id: str) -> Address | None:
    """Give the port a free address of the pools; None when there is none."""
    row = await tx.one(_CURSOR, subnet_id=subnet.id)
    if row is None:  # the subnet went since it was read
        raise ConcurrentChange()
    cursor = row["next_address"]
    found = await tx.one(_FREE_FROM, subnet_id=subnet.id, address=cursor)
    if found is None:
        cursor = bytes(16)
        found = await tx.one(_FREE_FROM, subnet_id=subnet.id, address=cursor)
        if found is None:
            return None
    packed = max(found["first_address"], cursor)
    number = int.from_bytes(packed, "big")
    await _cut(tx, subnet.id, found["first_address"], found["last_address"], number)
    await tx.run(_SET_CURSOR, subnet_id=subnet.id, next_address=(number + 1).to_bytes(17, "big")[1:])
    address = Address(subnet.ip_version, number)
    await _record(tx, subnet.id, address, port_id)
    return address


async def take(tx: Transaction, subnet: Subnet, address: Address, port_id: str) -> bool:
    """Give the port this address, in or out of the pools; False when somebody has it."""
    packed = address.packed
    if await tx.one(_OWNER, subnet_id=subnet.id, address=packed) is not None:
        return False
    found = await tx.one(_FREE_FROM, subnet_id=subnet.id, address=packed)
    if found is not None and found["first_address"] <= packed:
        await _cut(tx, subnet.id, found["first_address"], found["last_address"], address.number)
    await _record(tx, subnet.id, address, port_id)
    return True


async def give_back(tx: Transaction, subnet: Subnet, address: Address, port_id: str) -> None:
    """Take the address from the port; one of the pools' is free again."""
    if not await tx.run(_GIVE, subnet_id=subnet.id, address=address.packed, port_id=port_id):
        return
    if any(pool.holds(address.number) for pool in subnet.pools):
        await _join(tx, subnet.id, address.number)


async def _record(tx: Transaction, subnet_id: str, address: Address, port_id: str) -> None:
    await tx.run(_TAKE, subnet_id=subnet_id, address=address.packed, family=address.family, port_id=port_id)


async def _cut(tx: Transaction, subnet_id: str, first: bytes, last: bytes, number: int) -> None:
    """Take one number out of the gap from `first` to `last`. Raises: ConcurrentChange when the gap changed."""
    low, high = int.from_bytes(first, "big"), int.from_bytes(last, "big")
    gap = {"subnet_id": subnet_id, "first_address": first, "last_address": last}
    if number < high:
        touched = await tx.run(_SHRINK_FREE, new_first=_packed(number + 1), **gap)
    else:
        touched = await tx.run(_DELETE_FREE, **gap)
    if not touched:
        raise ConcurrentChange()
    if low < number:
        await _insert_free(tx, subnet_id, Range(low, number - 1))


async def _join(tx: Transaction, subnet_id: str, number: int) -> None:
    """Make one number free, as one gap with its neighbours."""
    low = number
    below = await tx.one(_FREE_ENDING, subnet_id=subnet_id, last_address=_packed(number - 1)) if number else None
    if below is not None:
        low = int.from_bytes(below["first_address"], "big")
        gap = {"first_address": below["first_address"], "last_address": _packed(number - 1)}
        if not await tx.run(_DELETE_FREE, subnet_id=subnet_id, **gap):
            raise ConcurrentChange()
    above = await tx.one(_FREE_FROM, subnet_id=subnet_id, address=_packed(number))
    if above is None or above["first_address"] != (number + 1).to_bytes(17, "big")[1:]:
        await _insert_free(tx, subnet_id, Range(low, number))
        return
    gap = {"first_address": above["first_address"], "last_address": above["last_address"]}
    if not await tx.run(_SHRINK_FREE, subnet_id=subnet_id, new_first=_packed(low), **gap):
        raise ConcurrentChange()


async def _insert_free(tx: Transaction, subnet_id: str, gap: Range) -> None:
    await tx.run(_INSERT_FREE, subnet_id=subnet_id, first_address=_packed(gap.first), last_address=_packed(gap.last))


def _packed(number: int) -> bytes:
    return number.to_bytes(16, "big")


# -- looking ------------------------------------------------------------------------------------------------------
async def of_port(db: Database | Transaction, port_id: str) -> list[Held]:
    rows = await db.all(_OF_PORT, port_id=port_id)
    return [Held(row["subnet_id"], unpack(row["family"], row["address"])) for row in rows]


async def ports_of_subnet(db: Database | Transaction, subnet_id: str) -> Sequence[str]:
    """The ids of all ports with an address in the subnet."""
    return [row["port_id"] for row in await db.all(_PORTS_OF_SUBNET, subnet_id=subnet_id)]
