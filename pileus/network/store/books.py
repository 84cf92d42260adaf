"""The books of the whole service, for an auditor: what contradicts what."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Database, Transaction, sql

_PORTS = sql("SELECT id, network_id, device_id, device_owner, host, router_id, document FROM network_ports ORDER BY id")
_ADDRESSES = sql("SELECT subnet_id, address, family, port_id FROM network_addresses")
_FREE = sql("SELECT subnet_id, first_address, last_address FROM network_free ORDER BY subnet_id, last_address")
_SUBNETS = sql("SELECT id, network_id, document FROM network_subnets")
_NETWORKS = sql("SELECT id, document FROM network_networks")
_GROUPS_OF_PORTS = sql("SELECT port_id, group_id FROM network_port_groups")
_ROUTERS = sql("SELECT id, gateway_port_id FROM network_routers")
_FLOATING_IPS = sql("SELECT id, floating_port_id, port_id, fixed_address FROM network_floating_ips")

Rows = Sequence[Any]


async def ports(db: Database | Transaction) -> Rows:
    return await db.all(_PORTS)


async def addresses(db: Database | Transaction) -> Rows:
    return await db.all(_ADDRESSES)


async def free(db: Database | Transaction) -> Rows:
    return await db.all(_FREE)


async def subnets(db: Database | Transaction) -> Rows:
    return await db.all(_SUBNETS)


async def networks(db: Database | Transaction) -> Rows:
    return await db.all(_NETWORKS)


async def groups_of_ports(db: Database | Transaction) -> Rows:
    return await db.all(_GROUPS_OF_PORTS)


async def routers(db: Database | Transaction) -> Rows:
    return await db.all(_ROUTERS)


async def floating_ips(db: Database | Transaction) -> Rows:
    return await db.all(_FLOATING_IPS)
