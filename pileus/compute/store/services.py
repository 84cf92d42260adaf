"""The services of compute, the hosts above all, as they reported themselves."""

from typing import Any

import msgspec

from pileus.compute.domain.errors import HostNotFound, ServiceNotFound
from pileus.foundation.database import Database, Transaction, sql

HOST_SERVICE = "nova-compute"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service on one host. Times are UTC microseconds; `inventory` and `roles` are a hypervisor host's."""

    id: str
    number: int
    name: str  # the API's "binary": nova-compute, nova-scheduler, nova-conductor
    host: str
    zone: str
    is_disabled: bool = False
    disabled_reason: str | None = None
    is_forced_down: bool = False
    version: str = ""
    beats: int = 0
    last_seen_at: int = 0
    created_at: int = 0
    updated_at: int = 0
    inventory: dict[str, Any] = {}
    roles: tuple[str, ...] = ()


_ALL = sql("SELECT * FROM compute_services ORDER BY number")
_BY_HOST = sql("SELECT * FROM compute_services WHERE host = :host AND name = :name")
_BY_ID = sql("SELECT * FROM compute_services WHERE id = :id")
_NEXT = sql(
    "INSERT INTO compute_numbers (name, value) VALUES ('services', 1) "
    "ON CONFLICT (name) DO UPDATE SET value = compute_numbers.value + 1 RETURNING value"
)
_INSERT = sql(
    "INSERT INTO compute_services (id, number, name, host, zone, is_disabled, disabled_reason, is_forced_down, "
    "version, beats, last_seen_at, created_at, updated_at, inventory) "
    "VALUES (:id, :number, :name, :host, :zone, 0, NULL, 0, "
    ":version, 1, :now, :now, :now, :inventory)"
)
_REPORT = sql(
    "UPDATE compute_services SET beats = beats + 1, last_seen_at = :now, version = :version, inventory = :inventory "
    "WHERE id = :id"
)
_BEAT = sql("UPDATE compute_services SET beats = beats + 1, last_seen_at = :now WHERE host = :host AND name = :name")
_CHANGE = sql(
    "UPDATE compute_services SET is_disabled = :is_disabled, disabled_reason = :disabled_reason, "
    "is_forced_down = :is_forced_down, updated_at = :now WHERE id = :id"
)
_DELETE = sql("DELETE FROM compute_services WHERE id = :id")


def _service(row: Any) -> Service:
    packed = msgspec.msgpack.decode(row["inventory"]) if row["inventory"] else {}
    return Service(
        id=row["id"], number=row["number"], name=row["name"], host=row["host"], zone=row["zone"],
        is_disabled=bool(row["is_disabled"]), disabled_reason=row["disabled_reason"],
        is_forced_down=bool(row["is_forced_down"]), version=row["version"], beats=row["beats"],
        last_seen_at=row["last_seen_at"], created_at=row["created_at"], updated_at=row["updated_at"],
        inventory=packed.get("inventory", {}), roles=tuple(packed.get("roles", ())),
    )  # fmt: skip


async def all_services(reader: Database | Transaction) -> list[Service]:
    return [_service(row) for row in await reader.all(_ALL)]


async def find(reader: Database | Transaction, host: str, name: str = HOST_SERVICE) -> Service | None:
    row = await reader.one(_BY_HOST, host=host, name=name)
    return None if row is None else _service(row)


async def of_host(reader: Database | Transaction, host: str) -> Service:
    """Raises: HostNotFound (404)."""
    found = await find(reader, host)
    if found is None:
        raise HostNotFound(host=host)
    return found


async def get(reader: Database | Transaction, service_id: str) -> Service:
    """Raises: ServiceNotFound (404)."""
    row = await reader.one(_BY_ID, id=service_id)
    if row is None:
        raise ServiceNotFound(service_id=service_id)
    return _service(row)


async def report(
    tx: Transaction,
    host: str,
    *,
    new_id: str,
    name: str = HOST_SERVICE,
    zone: str,
    version: str,
    inventory: dict[str, Any],
    roles: tuple[str, ...],
    now: int,
) -> Service:
    """Take down what a service says of itself when it starts; its first report makes its row."""
    packed = msgspec.msgpack.encode({"inventory": inventory, "roles": roles})
    await tx.lock("services")
    known = await find(tx, host, name)
    if known is None:
        row = await tx.one(_NEXT)
        assert row is not None
        await tx.run(
            _INSERT, id=new_id, number=row["value"], name=name, host=host, zone=zone, version=version,
            inventory=packed, now=now,
        )  # fmt: skip
    else:
        await tx.run(_REPORT, id=known.id, version=version, inventory=packed, now=now)
    found = await find(tx, host, name)
    assert found is not None
    return found


async def beat(tx: Transaction, host: str, *, now: int, name: str = HOST_SERVICE) -> bool:
    """Count a heartbeat; False when the host is not known (any more) and must report itself again."""
    return bool(await tx.run(_BEAT, host=host, name=name, now=now))


async def change(tx: Transaction, service: Service, *, now: int) -> None:
    """Write what administrators may change: disabled, its reason, forced down."""
    await tx.run(
        _CHANGE, id=service.id, is_disabled=int(service.is_disabled), disabled_reason=service.disabled_reason,
        is_forced_down=int(service.is_forced_down), now=now,
    )  # fmt: skip


async def delete(tx: Transaction, service_id: str) -> None:
    await tx.run(_DELETE, id=service_id)
