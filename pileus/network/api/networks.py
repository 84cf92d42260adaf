"""Networks on the wire."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import NETWORKS
from pileus.network.app import networks
from pileus.network.app.networks import NewNetwork
from pileus.network.domain.errors import InvalidInput
from pileus.network.domain.network import Segment

_PROVIDER = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
_JUDGED = ("router:external", "port_security_enabled", *_PROVIDER)


async def list_networks(request: Call) -> Response:
    return await collection.many(NETWORKS, request)


async def show_network(request: Call) -> Response:
    network = await access.visible_network(request, request.params["network_id"])
    return collection.one(NETWORKS, request, network, access.of_network(network))


async def create_network(request: Call) -> Response:
    asked, is_bulk = access.items(request, "network", "networks")
    wanted = [_new(request, item) for item in asked]
    made = await networks.create(request.service, wanted)
    texts = [NETWORKS.shown(request, network, access.of_network(network)) for network in made]
    return collection.created(NETWORKS, texts, is_bulk)


def _new(request: Call, item: Mapping[str, Any]) -> NewNetwork:
    project_id = access.owner(request, item)
    access.enforce(request, access.of_project(project_id), _judged(item, {"shared": False, "router:external": False}))
    mtu = int(item.get("mtu") or 0)
    return NewNetwork(
        project_id=project_id,
        name=item.get("name", ""),
        admin_state_up=is_true(item.get("admin_state_up", True)),
        shared=is_true(item.get("shared", False)),
        is_external=is_true(item.get("router:external", False)),
        mtu=mtu or None,
        description=item.get("description", ""),
        port_security_enabled=is_true(item.get("port_security_enabled", True)),
        zone_hints=tuple(item.get("availability_zone_hints", ())),
        tags=tuple(sorted(set(item.get("tags", ())))),
        segment=_segment(item),
    )


def _judged(item: Mapping[str, Any], usual: Mapping[str, bool]) -> list[str]:
    """The attributes whose own rules are asked: those that say something else than the usual."""
    names = [name for name in _JUDGED if item.get(name) is not None]
    names += ["shared"] if "shared" in item else []
    return [name for name in names if name not in usual or is_true(item[name]) != usual[name]]


def _segment(item: Mapping[str, Any]) -> Segment | None:
    kind, physical, number = (item.get(name) for name in _PROVIDER)
    if kind is None:
        if physical is not None or number is not None:
            raise InvalidInput(reason="network_type required")
        return None
    return Segment(kind, physical, None if number is None else int(number))


async def update_network(request: Call) -> Response:
    network = await access.visible_network(request, request.params["network_id"])
    item = request.body["network"]
    access.enforce(
        request,
        access.of_network(network),
        _judged(item, {"shared": network.shared, "router:external": network.is_external}),
    )
    named = [name for name in _PROVIDER if name in item]
    if named:
        raise InvalidInput(
            reason=f"Plugin does not support updating the following provider network attributes: {', '.join(named)}"
        )
    changed = await networks.update(
        request.service, network.id, _change(item), revision=access.expected_revision(request)
    )
    return collection.one(NETWORKS, request, changed, access.of_network(changed))


def _change(item: Mapping[str, Any]) -> dict[str, Any]:
    change: dict[str, Any] = {name: item[name] for name in ("name", "description") if name in item}
    for name, field in (
        ("admin_state_up", "admin_state_up"),
        ("shared", "shared"),
        ("router:external", "is_external"),
        ("port_security_enabled", "port_security_enabled"),
    ):
        if name in item:
            change[field] = is_true(item[name])
    if "mtu" in item:
        change["mtu"] = int(item["mtu"])
    return change


async def delete_network(request: Call) -> Response:
    network = await access.visible_network(request, request.params["network_id"])
    access.enforce(request, access.of_network(network))
    await networks.delete(request.service, network.id, revision=access.expected_revision(request))
    return empty()
