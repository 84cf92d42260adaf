"""Routers: make, change, delete, with the gateway to an external network."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app import alone, removal
from pileus.network.app import networks as network_cases
from pileus.network.app import ports as port_cases
from pileus.network.app.allocation import AddressRequest, Seat, reassign
from pileus.network.app.ports import Actor, NewPort
from pileus.network.app.quotas import admit_all, limit_of
from pileus.network.app.revisions import expect, next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import parse_cidr
from pileus.network.domain.errors import (
    BadRequest,
    RouterExternalGatewayInUseByFloatingIp,
    RouterInUse,
    RouterNotFound,
)
from pileus.network.domain.moment import written
from pileus.network.domain.port import ACTIVE, ROUTER_GATEWAY, FixedIp
from pileus.network.domain.router import Gateway, Leg, Router, check_new_leg, check_routes
from pileus.network.domain.subnet import Route
from pileus.network.store import floating_ips, networks, ports, routers, subnets
from pileus.network.store.ports import StoredPort


class GatewayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The way out that a caller asks for; None leaves things to us, or as they are."""

    network_id: str
    wishes: Sequence[AddressRequest] | None = None
    enable_snat: bool | None = None


class NewRouter(msgspec.Struct, frozen=True, kw_only=True):
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    gateway: GatewayRequest | None = None
    zone_hints: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class RouterChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller wants changed; UNSET means as it was, a gateway of None takes it away."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType = msgspec.UNSET
    admin_state_up: bool | msgspec.UnsetType = msgspec.UNSET
    gateway: GatewayRequest | msgspec.UnsetType | None = msgspec.UNSET
    routes: Sequence[Route] | msgspec.UnsetType = msgspec.UNSET


class Held(NamedTuple):
    """A router with the port of its gateway."""

    router: Router
    gateway_port_id: str | None


async def find(service: NetworkService, router_id: str) -> Router | None:
    found = await routers.find(service.database, router_id)
    return found[0] if found else None


async def held(tx: Transaction, router_id: str) -> Held:
    """The router, which nobody else changes until the transaction ends. Raises: RouterNotFound (404)."""
    await alone.with_router(tx, router_id)
    found = await routers.find(tx, router_id)
    if found is None:
        raise RouterNotFound(id=router_id)
    return Held(*found)


async def create(service: NetworkService, wanted: Sequence[NewRouter], actor: Actor) -> list[Router]:
    """Make these routers, all or none.

    Raises: BadRequest (400), AvailabilityZoneNotFound, NetworkNotFound (404), OverQuota,
    IpAddressGenerationFailure (409).
    """
    for new in wanted:
        network_cases.check_zones(service, new.zone_hints)

    async def work(tx: Transaction) -> list[Router]:
        await admit_all(tx, service, [new.project_id for new in wanted], "router")
        return [await _insert(tx, service, new, actor) for new in wanted]

    return await service.transact(work)


async def _insert(tx: Transaction, service: NetworkService, new: NewRouter, actor: Actor) -> Router:
    now = service.runtime.now()
    router = Router(
        id=service.runtime.uuid(),
        name=new.name,
        project_id=new.project_id,
        tenant_id=new.project_id,
        description=new.description,
        admin_state_up=new.admin_state_up,
        availability_zone_hints=new.zone_hints,
        availability_zones=(service.settings.availability_zone,) if new.zone_hints else (),
        tags=new.tags,
        created_at=written(now),
        updated_at=written(now),
    )
    made = Held(router, None)
    if new.gateway is not None:
        made = await _open_gateway(tx, service, made, new.gateway, actor)
    await routers.insert(tx, made.router, made.gateway_port_id, now)
    return made.router


async def update(
    service: NetworkService, router_id: str, change: RouterChange, actor: Actor, *, revision: int | None = None
) -> Router:
    """Change a router.

    Raises: BadRequest, InvalidRoutes, RoutesExhausted (400), RouterNotFound (404),
    RouterExternalGatewayInUseByFloatingIp (409), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> Router:
        old = await held(tx, router_id)
        expect(old.router, revision)
        now = service.runtime.now()
        plain = {
            name: value
            for name in ("name", "description", "admin_state_up")
            if (value := getattr(change, name)) is not msgspec.UNSET
        }
        new = old._replace(router=msgspec.structs.replace(old.router, **plain))
        if change.gateway is not msgspec.UNSET:
            new = await _change_gateway(tx, service, new, change.gateway, actor)
        if change.routes is not msgspec.UNSET:
            limit = await limit_of(tx, service, old.router.project_id, "router_route")
            routes = check_routes(router_id, change.routes, await legs(tx, router_id), limit)
            new = new._replace(router=msgspec.structs.replace(new.router, routes=routes))
        await save(tx, old, new, now)
        return (await held(tx, router_id)).router

    return await service.transact(work)


async def save(tx: Transaction, old: Held, new: Held, now: int) -> None:
    """Write a changed router, one revision on."""
    router = next_revision(old.router, new.router, now)
    await routers.update(tx, old.router, router, new.gateway_port_id, now)


async def delete(service: NetworkService, router_id: str, *, revision: int | None = None) -> None:
    """Delete a router without interfaces; its gateway goes with it.

    Raises: RouterNotFound (404), RouterInUse (409), RevisionNumberConstraintFailed (412).
    """

    async def work(tx: Transaction) -> None:
        found = await held(tx, router_id)
        expect(found.router, revision)
        plugged = await ports.of_router(tx, router_id)
        interfaces = [stored.port.id for stored in plugged if stored.port.id != found.gateway_port_id]
        if interfaces:
            raise RouterInUse(router_id=router_id, ports=",".join(interfaces))
        for stored in plugged:
            await removal.remove_port(tx, stored)
        await routers.delete(tx, found.router)

    await service.transact(work)


async def legs(tx: Transaction, router_id: str) -> list[Leg]:
    """Every address of the router, its gateway's among them."""
    plugged = await ports.of_router(tx, router_id)
    known = await subnets.find_many(tx, [item.subnet_id for stored in plugged for item in stored.port.fixed_ips])
    return [
        Leg(stored.port.id, item.subnet_id, parse_cidr(known[item.subnet_id].cidr), item.ip_address)
        for stored in plugged
        for item in stored.port.fixed_ips
    ]


# -- the gateway --------------------------------------------------------------------------------------------------
async def _change_gateway(
    tx: Transaction, service: NetworkService, old: Held, wanted: GatewayRequest | None, actor: Actor
) -> Held:
    current = old.router.external_gateway_info
    if wanted is not None and current is not None and wanted.network_id == current.network_id:
        return await _tune_gateway(tx, old, current, wanted, service.runtime.now())
    if current is not None:
        old = await _close_gateway(tx, old, current)
    return old if wanted is None else await _open_gateway(tx, service, old, wanted, actor)


async def _open_gateway(
    tx: Transaction, service: NetworkService, old: Held, wanted: GatewayRequest, actor: Actor
) -> Held:
    await alone.in_network(tx, wanted.network_id)
    network = await networks.find(tx, wanted.network_id)
    if network is None or not network.is_external:
        raise BadRequest(resource="router", reason=f"Network {wanted.network_id} is not an external network")
    inside = await legs(tx, old.router.id)
    for subnet in await subnets.of_network(tx, network.id):
        check_new_leg(subnet.block, subnet.id, inside)
    new = NewPort(
        project_id="", network_id=network.id, device_id=old.router.id, device_owner=ROUTER_GATEWAY,
        router_id=old.router.id, status=ACTIVE, wishes=wanted.wishes,
    )  # fmt: skip
    stored = await port_cases.insert(tx, service, new, actor)
    return _through(old, network.id, stored, wanted.enable_snat is not False)


def _through(old: Held, network_id: str, stored: StoredPort, enable_snat: bool) -> Held:
    gateway = Gateway(network_id, stored.port.fixed_ips, enable_snat)
    return Held(msgspec.structs.replace(old.router, external_gateway_info=gateway), stored.port.id)


async def _tune_gateway(tx: Transaction, old: Held, current: Gateway, wanted: GatewayRequest, now: int) -> Held:
    """Another address or another way of translation, in the same external network."""
    snat = current.enable_snat if wanted.enable_snat is None else wanted.enable_snat
    fixed = current.external_fixed_ips
    if wanted.wishes is not None:
        stored = await _gateway_port(tx, old)
        fixed = await _readdress(tx, stored, wanted.wishes, now)
    gateway = Gateway(current.network_id, fixed, snat)
    return old._replace(router=msgspec.structs.replace(old.router, external_gateway_info=gateway))


async def _gateway_port(tx: Transaction, old: Held) -> StoredPort:
    for stored in await ports.of_router(tx, old.router.id):
        if stored.port.id == old.gateway_port_id:
            return stored
    raise RouterNotFound(id=old.router.id)


async def _readdress(
    tx: Transaction, stored: StoredPort, wishes: Sequence[AddressRequest], now: int
) -> tuple[FixedIp, ...]:
    port = stored.port
    await alone.in_network(tx, port.network_id)
    offered = await subnets.of_network(tx, port.network_id)
    seat = Seat(port.id, port.network_id, port.mac_address, port.device_owner, offered)
    fixed = await reassign(tx, seat, port.fixed_ips, wishes)
    new = next_revision(port, msgspec.structs.replace(port, fixed_ips=fixed), now)
    await ports.update(tx, stored, stored._replace(port=new), now)
    return fixed


async def _close_gateway(tx: Transaction, old: Held, current: Gateway) -> Held:
    if await floating_ips.any_of_router(tx, old.router.id):
        raise RouterExternalGatewayInUseByFloatingIp(router_id=old.router.id, network_id=current.network_id)
    await removal.remove_port(tx, await _gateway_port(tx, old))
    return Held(msgspec.structs.replace(old.router, external_gateway_info=None), None)
