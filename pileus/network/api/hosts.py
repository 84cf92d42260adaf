"""What hypervisor hosts may ask of the network service: ports of servers placed there, and what those lead to."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.hosts import HostRule, refuse, with_users_rights
from pileus.network.api.access import Call
from pileus.network.app import ports

NOTHING = "00000000-0000-0000-0000-000000000000"


async def list_ports(request: Call, host: str) -> None:
    """The ports of servers that are named; without a name, only ports that are bound there."""
    devices = request.query.get("device_id")
    if devices:
        await request.service.whereabouts.check(request, host, devices)
    else:
        request.query["binding:host_id"] = [host]


async def create_port(request: Call, host: str) -> None:
    item = request.body.get("port") if isinstance(request.body, dict) else None
    if not isinstance(item, dict) or item.get("binding:host_id") != host:
        raise refuse(request, host)
    await request.service.whereabouts.check(request, host, [item.get("device_id")])


async def touch_port(request: Call, host: str) -> None:
    """A port of a server placed there, or one that nobody has and that goes to such a server."""
    stored = await ports.find(request.service, request.params["port_id"])
    if stored is None:
        return  # the handler says so
    concerned = {stored.port.device_id} if stored.port.device_id else set()
    if request.method == "PUT":
        item: Mapping[str, Any] = request.body.get("port", {}) if isinstance(request.body, dict) else {}
        if item.get("binding:host_id", host) not in (host, "", None):
            raise refuse(request, host)
        if item.get("device_id"):
            concerned.add(item["device_id"])
    if request.method == "GET" and not concerned:
        return  # a host looks before it takes
    await request.service.whereabouts.check(request, host, concerned)


async def list_networks(request: Call, host: str) -> None:
    """Those of the named networks in which the host has ports."""
    here = {stored.port.network_id for stored in await ports.bound_to(request.service, host)}
    request.query["id"] = [one for one in request.query.get("id", ()) if one in here] or [NOTHING]


async def list_subnets(request: Call, host: str) -> None:
    """Those of the named subnets that are in such networks."""
    here = await ports.bound_to(request.service, host)
    subnets = {fixed.subnet_id for stored in here for fixed in stored.port.fixed_ips}
    request.query["id"] = [one for one in request.query.get("id", ()) if one in subnets] or [NOTHING]


HOSTS: dict[str, HostRule] = {
    "network:get:ports": list_ports,
    "network:post:ports": create_port,
    "network:get:ports/*": touch_port,
    "network:put:ports/*": touch_port,
    "network:delete:ports/*": touch_port,
    "network:get:networks": list_networks,
    "network:get:subnets": list_subnets,
    "network:get:security-groups": with_users_rights,
}
