"""Floating IPs on the wire. Answers tell some facts of the port that each points to."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.kinds import FLOATING_IPS
from pileus.network.app import floating_ips, ports
from pileus.network.app.floating_ips import FloatingIpChange, NewFloatingIp
from pileus.network.domain.address import parse
from pileus.network.domain.document import read, render
from pileus.network.domain.errors import FloatingIPNotFound, HTTPBadRequest, PortNotFound
from pileus.network.domain.floating_ip import FloatingIp
from pileus.network.domain.port import Port

_encode = msgspec.json.Encoder().encode


async def list_floating_ips(request: Call) -> Response:
    return await collection.many(FLOATING_IPS, request, _with_ports)


async def _with_ports(request: Call, rows: Sequence[Any], texts: list[str]) -> list[str]:
    return [
        _detailed(text, read(row["port_document"], Port) if row["port_document"] else None)
        for row, text in zip(rows, texts, strict=True)
    ]


def _detailed(text: str, port: Port | None) -> str:
    """The document with facts of the port. Source: extension "fip-port-details"."""
    details = None
    if port is not None:
        details = {
            "name": port.name,
            "network_id": port.network_id,
            "mac_address": port.mac_address,
            "admin_state_up": port.admin_state_up,
            "status": port.status,
            "device_id": port.device_id,
            "device_owner": port.device_owner,
        }
    return f'{text[:-1]},"port_details":{_encode(details).decode()}}}'


async def _shown(request: Call, floating: FloatingIp) -> str:
    return _detailed(render(floating), await floating_ips.port_document(request.service, floating.port_id))


async def show_floating_ip(request: Call) -> Response:
    floating, _ = await _visible(request)
    return collection.one_text(FLOATING_IPS, request, await _shown(request, floating))


async def _visible(request: Call) -> tuple[FloatingIp, dict[str, Any]]:
    """The floating IP of the path with its target. Raises: FloatingIPNotFound (404)."""
    floating_id = request.params["floatingip_id"]
    floating = await floating_ips.find(request.service, floating_id)
    if floating is None or not access.may_see(request, "get_floatingip", access.of_project(floating.project_id)):
        raise FloatingIPNotFound(id=floating_id)
    return floating, access.of_project(floating.project_id)


async def create_floating_ip(request: Call) -> Response:
    asked, is_bulk = access.items(request, "floatingip", "floatingips")
    wanted = [await _new(request, item) for item in asked]
    made = await floating_ips.create(request.service, wanted, access.actor(request))
    return collection.created(FLOATING_IPS, [await _shown(request, floating) for floating in made], is_bulk)


async def _new(request: Call, item: Mapping[str, Any]) -> NewFloatingIp:
    project_id = access.owner(request, item)
    judged = ["floating_ip_address"] if item.get("floating_ip_address") else []
    access.enforce(request, access.of_project(project_id), judged)
    network = await access.visible_network(request, item["floating_network_id"])
    if item.get("port_id"):
        await _check_port(request, item["port_id"])
    return NewFloatingIp(
        project_id=project_id,
        network_id=network.id,
        subnet_id=item.get("subnet_id"),
        address=_address(item, "floating_ip_address"),
        port_id=item.get("port_id"),
        fixed_address=_address(item, "fixed_ip_address"),
        description=item.get("description", ""),
        tags=tuple(sorted(set(item.get("tags", ())))),
    )


def _address(item: Mapping[str, Any], name: str) -> str | None:
    """An address in its one form. Raises: HTTPBadRequest (400)."""
    if item.get(name) is None:
        return None
    try:
        return str(parse(item[name]))
    except ValueError:
        raise HTTPBadRequest(
            reason=f"Invalid input for {name}. Reason: '{item[name]}' is not a valid IP address."
        ) from None


async def _check_port(request: Call, port_id: str) -> None:
    """Raises: PortNotFound (404) for a port that the caller cannot see."""
    stored = await ports.find(request.service, port_id)
    if stored is None or not request.may("get_port", access.of_port(stored.port, stored.network_project_id)):
        raise PortNotFound(id=port_id)


async def update_floating_ip(request: Call) -> Response:
    floating, target = await _visible(request)
    access.enforce(request, target)
    item = request.body["floatingip"]
    change: dict[str, Any] = {name: item[name] for name in ("port_id", "description") if name in item}
    if item.get("port_id"):
        await _check_port(request, item["port_id"])
    if "fixed_ip_address" in item:
        change["fixed_address"] = _address(item, "fixed_ip_address")
    changed = await floating_ips.update(
        request.service,
        floating.id,
        FloatingIpChange(**change),
        access.actor(request),
        revision=access.expected_revision(request),
    )
    return collection.one_text(FLOATING_IPS, request, await _shown(request, changed))


async def delete_floating_ip(request: Call) -> Response:
    floating, target = await _visible(request)
    access.enforce(request, target)
    await floating_ips.delete(request.service, floating.id, revision=access.expected_revision(request))
    return empty()
