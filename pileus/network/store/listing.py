"""Lists: rows that a project may see and that fit a filter, a page at a time.

The text of a statement depends only on which filters are used and how many values they have, and is kept by that.
Filters on what has no column are the caller's business: it reads the documents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pileus.foundation.database import Database, Statement, sql
from pileus.network.domain.address import Address

MOST_STATEMENTS = 500


@dataclass(frozen=True)
class Table:
    """What can be listed. A project `:project_id` may see the rows for which any condition in `mine` holds."""

    name: str
    select: str
    mine: tuple[str, ...]
    columns: Mapping[str, str]  # attribute -> column, for filters of equal texts
    flags: Mapping[str, str] = field(default_factory=dict)  # attribute -> column of 0 and 1
    statements: dict[tuple[Any, ...], Statement] = field(default_factory=dict, compare=False)


_STANDARD = {"id": "id", "name": "name", "project_id": "project_id", "tenant_id": "project_id"}

NETWORKS = Table(
    "network_networks",
    "id, project_id, shared, is_external, document",
    ("project_id = :project_id", "shared = 1", "is_external = 1"),
    {**_STANDARD, "status": "status"},
    {"admin_state_up": "admin_state_up", "shared": "shared", "router:external": "is_external"},
)
_VISIBLE_NETWORKS = "SELECT id FROM network_networks WHERE project_id = :project_id OR shared = 1 OR is_external = 1"
SUBNETS = Table(
    "network_subnets",
    "id, project_id, network_project_id, document, "
    "(SELECT shared FROM network_networks n WHERE n.id = network_id) AS shared, "
    "(SELECT is_external FROM network_networks n WHERE n.id = network_id) AS is_external",
    ("project_id = :project_id", f"network_id IN ({_VISIBLE_NETWORKS})"),
    {**_STANDARD, "network_id": "network_id"},
)
PORTS = Table(
    "network_ports",
    "id, project_id, network_project_id, device_owner, host, document",
    # A guest on one's own network; said so that the index of those few serves.
    ("project_id = :project_id", "network_project_id = :project_id AND network_project_id <> project_id"),
    {
        **_STANDARD,
        "network_id": "network_id",
        "mac_address": "mac",
        "status": "status",
        "device_id": "device_id",
        "device_owner": "device_owner",
    },
)
_OWN = ("project_id = :project_id",)
ROUTERS = Table("network_routers", "id, project_id, document", _OWN, _STANDARD)
_PORT_OF = "(SELECT p.document FROM network_ports p WHERE p.id = port_id) AS port_document"
FLOATING_IPS = Table(
    "network_floating_ips",
    f"id, project_id, document, {_PORT_OF}",
    _OWN,
    {
        "id": "id",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "floating_network_id": "floating_network_id",
        "port_id": "port_id",
        "fixed_ip_address": "fixed_address",
        "router_id": "router_id",
    },
)
SECURITY_GROUPS = Table("network_security_groups", "id, project_id, document", _OWN, _STANDARD)
RULES = Table(
    "network_security_group_rules",
    "id, project_id, document, "
    "(SELECT g.project_id FROM network_security_groups g WHERE g.id = group_id) AS group_project_id",
    (
        "project_id = :project_id",
        "group_id IN (SELECT id FROM network_security_groups WHERE project_id = :project_id)",
    ),
    {
        "id": "id",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "security_group_id": "group_id",
        "remote_group_id": "remote_group_id",
    },
)
AGENTS = Table("network_agents", "id, heartbeat_at, document", ("1 = 0",), {"id": "id", "host": "host"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows. `project_id` None means those of everybody; `limit` 0 means all."""

    project_id: str | None
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column -> any of these
    flags: Mapping[str, int] = field(default_factory=dict)  # column -> 0 or 1
    addresses: Sequence[Address] = ()  # ports with any of these
    subnets: Sequence[str] = ()  # ports with an address in any of these
    groups: Sequence[str] = ()  # ports with any of these security groups
    after: str = ""  # in order of ids, from the one behind this on
    limit: int = 0
    backwards: bool = False  # the rows before `after` instead, still in ascending order


async def rows(db: Database, table: Table, wanted: Wanted) -> list[Any]:
    """The rows in order of their ids."""
    key = (
        wanted.project_id is None,
        tuple((column, len(values) == 1) for column, values in wanted.equal.items()),
        tuple(wanted.flags),
        tuple(address.family for address in wanted.addresses),
        bool(wanted.subnets),
        bool(wanted.groups),
        bool(wanted.after),
        bool(wanted.limit),
        wanted.backwards,
    )
    statement = table.statements.get(key)
    if statement is None:
        if len(table.statements) >= MOST_STATEMENTS:
            table.statements.clear()
        statement = table.statements[key] = sql(_text(table, wanted))
    found = list(await db.all(statement, **_values(wanted)))
    if wanted.backwards:
        found.reverse()
    return found


def _text(table: Table, wanted: Wanted) -> str:
    order = "ORDER BY id DESC" if wanted.backwards else "ORDER BY id"
    conditions = _conditions(wanted)
    mine = [] if wanted.project_id is None else list(table.mine)
    if wanted.limit:
        return _short_page(table, mine, conditions, order)
    if mine:
        conditions.insert(0, f"({' OR '.join(f'({way})' for way in mine)})")
    return f"SELECT {table.select} FROM {table.name}{_where(conditions)} {order}"


def _short_page(table: Table, mine: list[str], conditions: list[str], order: str) -> str:
    """A page that costs what the page costs: each way of seeing rows gives at most one page of ids, by its index."""
    pages = [
        f"SELECT id FROM (SELECT id FROM {table.name}{_where([*way, *conditions])} {order} LIMIT :row_limit) AS p{n}"
        for n, way in enumerate([[each] for each in mine] or [[]])
    ]
    return f"SELECT {table.select} FROM {table.name} WHERE id IN ({' UNION '.join(pages)}) {order} LIMIT :row_limit"


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _conditions(wanted: Wanted) -> list[str]:
    """What holds for every row, whoever asks."""
    conditions = []
    for column, values in wanted.equal.items():
        conditions.append(f"{column} = :v_{column}" if len(values) == 1 else f"{column} IN :v_{column}*")
    conditions += [f"{column} = :f_{column}" for column in wanted.flags]
    if wanted.addresses:
        each = [f"address = :a_{n} AND family = {int(a.family)}" for n, a in enumerate(wanted.addresses)]
        conditions.append(f"id IN (SELECT port_id FROM network_addresses WHERE {' OR '.join(each)})")
    if wanted.subnets:
        conditions.append("id IN (SELECT port_id FROM network_addresses WHERE subnet_id IN :subnets*)")
    if wanted.groups:
        conditions.append("id IN (SELECT port_id FROM network_port_groups WHERE group_id IN :groups*)")
    if wanted.after:
        conditions.append("id < :after" if wanted.backwards else "id > :after")
    return conditions


def _values(wanted: Wanted) -> dict[str, Any]:
    values: dict[str, Any] = {f"f_{column}": value for column, value in wanted.flags.items()}
    for column, texts in wanted.equal.items():
        values[f"v_{column}"] = texts[0] if len(texts) == 1 else list(texts)
    for number, address in enumerate(wanted.addresses):
        values[f"a_{number}"] = address.packed
    return {
        **values,
        "project_id": wanted.project_id,
        "subnets": list(wanted.subnets),
        "groups": list(wanted.groups),
        "after": wanted.after,
        "row_limit": wanted.limit,
    }
