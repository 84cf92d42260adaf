"""Ports on the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import PORTS
from pileus.network.app import ports
from pileus.network.app.allocation import AddressRequest
from pileus.network.app.ports import NewPort, PortChange
from pileus.network.domain.errors import HTTPBadRequest, PortNotFound
from pileus.network.domain.mac import canonical
from pileus.network.domain.port import Port

_JUDGED = (
    "mac_address", "fixed_ips", "device_id", "device_owner", "port_security_enabled", "allowed_address_pairs",
    "binding:host_id", "binding:profile", "binding:vnic_type",
)  # fmt: skip


async def list_ports(request: Call) -> Response:
    return await collection.many(PORTS, request)


async def show_port(request: Call) -> Response:
    port, target = await _visible(request)
    return collection.one(PORTS, request, port, target)


async def _visible(request: Call) -> tuple[Port, dict[str, Any]]:
    """The port of the path with its target. Raises: PortNotFound (404)."""
    port_id = request.params["port_id"]
    stored = await ports.find(request.service, port_id)
    if stored is None:
        raise PortNotFound(id=port_id)
    target = access.of_port(stored.port, stored.network_project_id)
    if not access.may_see(request, "get_port", target):
        raise PortNotFound(id=port_id)
    return stored.port, target


async def create_port(request: Call) -> Response:
    asked, is_bulk = access.items(request, "port", "ports")
    wanted = [await _new(request, item) for item in asked]
    made = await ports.create(request.service, wanted, access.actor(request))
    texts = [
        PORTS.shown(request, stored.port, access.of_port(stored.port, stored.network_project_id)) for stored in made
    ]
    return collection.created(PORTS, texts, is_bulk)


async def _new(request: Call, item: Mapping[str, Any]) -> NewPort:
    network = await access.visible_network(request, item["network_id"])
    project_id = access.owner(request, item)
    target = {**access.in_network(project_id, network), "device_owner": item.get("device_owner", "")}
    access.enforce(request, target, _judged(item))
    return NewPort(
        project_id=project_id,
        network_id=network.id,
        name=item.get("name", ""),
        description=item.get("description", ""),
        admin_state_up=is_true(item.get("admin_state_up", True)),
        mac=_mac(item["mac_address"]) if item.get("mac_address") else None,
        wishes=None if item.get("fixed_ips") is None else wishes(item["fixed_ips"]),
        device_id=item.get("device_id", ""),
        device_owner=item.get("device_owner", ""),
        security_groups=_groups(item) if "security_groups" in item else None,
        pairs=item.get("allowed_address_pairs") or (),
        dhcp_opts=item.get("extra_dhcp_opts") or (),
        port_security_enabled=(is_true(item["port_security_enabled"]) if "port_security_enabled" in item else None),
        host=item.get("binding:host_id") or "",
        profile=item.get("binding:profile") or {},
        tags=tuple(sorted(set(item.get("tags", ())))),
    )


def _judged(item: Mapping[str, Any]) -> list[str]:
    """The attributes whose own rules are asked: those that are set."""
    names = [name for name in _JUDGED if item.get(name) not in (None, "", [], {})]
    for fixed in item.get("fixed_ips") or ():
        names += [f"fixed_ips:{part}" for part in fixed if f"fixed_ips:{part}" not in names]
    return names


def wishes(fixed_ips: Sequence[Mapping[str, str]]) -> list[AddressRequest]:
    """What `fixed_ips` asks for. Raises: HTTPBadRequest (400)."""
    if not all(fixed_ips):
        raise HTTPBadRequest(reason="Invalid input for fixed_ips. Reason: Invalid data format for fixed IP: '{}'.")
    return [AddressRequest(fixed.get("subnet_id"), fixed.get("ip_address")) for fixed in fixed_ips]


def _mac(text: str) -> str:
    try:
        return canonical(text)
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for mac_address. Reason: {error}.") from None


def _groups(item: Mapping[str, Any]) -> Sequence[str]:
    return tuple(item["security_groups"] or ())


async def update_port(request: Call) -> Response:
    port, target = await _visible(request)
    item = request.body["port"]
    named = [name for name in _JUDGED if name in item]
    for fixed in item.get("fixed_ips") or ():
        named += [f"fixed_ips:{part}" for part in fixed if f"fixed_ips:{part}" not in named]
    owner = item.get("device_owner", port.device_owner)
    access.enforce(request, {**target, "device_owner": owner}, named)
    stored = await ports.update(
        request.service,
        port.id,
        _change(item),
        access.actor(request),
        revision=access.expected_revision(request),
    )
    return collection.one(PORTS, request, stored.port, access.of_port(stored.port, stored.network_project_id))


def _change(item: Mapping[str, Any]) -> PortChange:
    change: dict[str, Any] = {
        name: item[name] for name in ("name", "description", "device_id", "device_owner") if name in item
    }
    for name in ("admin_state_up", "port_security_enabled"):
        if name in item:
            change[name] = is_true(item[name])
    if "mac_address" in item:
        change["mac"] = _mac(item["mac_address"]) if item["mac_address"] is not None else None
    if "fixed_ips" in item:
        change["wishes"] = wishes(item["fixed_ips"] or ())
    if "security_groups" in item:
        change["security_groups"] = _groups(item)
    if "allowed_address_pairs" in item:
        change["pairs"] = item["allowed_address_pairs"] or ()
    if "extra_dhcp_opts" in item:
        change["dhcp_opts"] = item["extra_dhcp_opts"] or ()
    if "binding:host_id" in item:
        change["host"] = item["binding:host_id"] or ""
    if "binding:profile" in item:
        change["profile"] = item["binding:profile"] or {}
    return PortChange(**change)


async def delete_port(request: Call) -> Response:
    port, target = await _visible(request)
    access.enforce(request, target)
    by_user = not request.context.is_service
    await ports.delete(request.service, port.id, revision=access.expected_revision(request), by_user=by_user)
    return empty()
