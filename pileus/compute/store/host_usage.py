"""What lives on each host, counted from the servers' rows."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pileus.compute.domain.server import Server
from pileus.foundation.database import Database, Transaction, sql

_unpack = msgspec.msgpack.Decoder(Server).decode

_NAMES = sql("SELECT host, id, name FROM compute_servers WHERE host IN :hosts* ORDER BY created_at, id")
_WHOLE = sql("SELECT host, data FROM compute_servers WHERE host IN :hosts*")
_COUNT = sql("SELECT COUNT(*) AS found FROM compute_servers WHERE host = :host")
_BEATS = sql(
    "SELECT host, beats, is_disabled, is_forced_down FROM compute_services WHERE name = :name AND host IN :hosts*"
)


class Usage(NamedTuple):
    """What the servers of one host take; `busy` of them have something in flight."""

    servers: int = 0
    busy: int = 0
    vcpus: int = 0
    ram_mib: int = 0
    disk_gib: int = 0


class Beat(NamedTuple):
    """What is known of a host's life."""

    beats: int
    is_disabled: bool
    is_forced_down: bool


async def usage(reader: Database, hosts: Sequence[str]) -> dict[str, Usage]:
    """What is used on each of these hosts."""
    found = dict.fromkeys(hosts, Usage())
    for row in await reader.all(_WHOLE, hosts=list(hosts)):
        server, before = _unpack(row["data"]), found[row["host"]]
        disk = server.flavor.local_disk_gib(is_volume_backed=server.is_volume_backed)
        found[row["host"]] = Usage(
            before.servers + 1,
            before.busy + (server.task_state is not None),
            before.vcpus + server.flavor.vcpus,
            before.ram_mib + server.flavor.ram_mib,
            before.disk_gib + disk,
        )
    return found


async def names(reader: Database, hosts: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Id and name of each server on these hosts."""
    found: dict[str, list[tuple[str, str]]] = {host: [] for host in hosts}
    for row in await reader.all(_NAMES, hosts=list(hosts)):
        found[row["host"]].append((row["id"], row["name"]))
    return found


async def count(reader: Database | Transaction, host: str) -> int:
    row = await reader.one(_COUNT, host=host)
    assert row is not None
    return int(row["found"])


async def beats(reader: Database, name: str, hosts: Sequence[str]) -> dict[str, Beat]:
    """The heartbeats of the service `name` on these hosts."""
    return {
        row["host"]: Beat(row["beats"], bool(row["is_disabled"]), bool(row["is_forced_down"]))
        for row in await reader.all(_BEATS, name=name, hosts=list(hosts))
    }
