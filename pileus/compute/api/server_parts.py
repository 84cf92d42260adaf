"""What belongs to one server: metadata, tags, addresses, security groups, console."""

from typing import Any

from pileus.compute.api.reach import reach_server
from pileus.compute.api.server_schema import TAG
from pileus.compute.app import consoles, guest_passwords, metadata, security_groups, tags
from pileus.compute.domain.errors import MetadataItemNotFound, TagNotFound
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_document import addresses
from pileus.compute.service import Compute
from pileus.foundation.errors import BadRequest, NotFound
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body


class WrongItem(BadRequest):
    code = "compute.metadata.wrong-item"
    message = "Request body and URI mismatch"


class LabelNotFound(NotFound):
    code = "compute.address.label-not-found"
    message = "Network name not found"


# -- metadata ---------------------------------------------------------------------------------------------------------
async def list_metadata(request: Request[Compute]) -> Response:
    return answer({"metadata": (await reach_server(request)).metadata})


async def merge_metadata(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    after = await metadata.merge(request.service, request.context, server.id, request.body["metadata"])
    return answer({"metadata": after.metadata})


async def replace_metadata(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    after = await metadata.replace_all(request.service, request.context, server.id, request.body["metadata"])
    return answer({"metadata": after.metadata})


async def show_metadata_item(request: Request[Compute]) -> Response:
    server, key = await reach_server(request), request.params["key"]
    if key not in server.metadata:
        raise MetadataItemNotFound
    return answer({"meta": {key: server.metadata[key]}})


async def set_metadata_item(request: Request[Compute]) -> Response:
    server, key = await reach_server(request), request.params["key"]
    if key not in request.body["meta"]:
        raise WrongItem
    await metadata.merge(request.service, request.context, server.id, request.body["meta"])
    return answer({"meta": request.body["meta"]})


async def delete_metadata_item(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    await metadata.delete_item(request.service, request.context, server.id, request.params["key"])
    return empty()


# -- tags -------------------------------------------------------------------------------------------------------------
_TAG = Body("tag", value=TAG)


async def list_tags(request: Request[Compute]) -> Response:
    return answer({"tags": (await reach_server(request)).tags})


async def replace_tags(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    after = await tags.replace_all(request.service, request.context, server.id, request.body["tags"])
    return answer({"tags": after.tags})


async def delete_tags(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    await tags.replace_all(request.service, request.context, server.id, ())
    return empty()


async def show_tag(request: Request[Compute]) -> Response:
    server, tag = await reach_server(request), request.params["tag"]
    if tag not in server.tags:
        raise TagNotFound(server_id=server.id, tag=tag)
    return empty()


async def add_tag(request: Request[Compute]) -> Response:
    """201 with the tag's address when it is new, 204 when the server had it."""
    server, tag = await reach_server(request), request.params["tag"]
    _TAG.validate({"tag": tag}, request.version)
    if not await tags.add(request.service, request.context, server.id, tag):
        return empty()
    return empty(201, [("location", request.href(f"/v2.1/servers/{server.id}/tags/{tag}"))])


async def delete_tag(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    await tags.remove(request.service, request.context, server.id, request.params["tag"])
    return empty()


# -- addresses --------------------------------------------------------------------------------------------------------
async def list_addresses(request: Request[Compute]) -> Response:
    return answer({"addresses": addresses(await reach_server(request), extended=False)})


async def show_addresses(request: Request[Compute]) -> Response:
    found = addresses(await reach_server(request), extended=False)
    label = request.params["network_label"]
    if label not in found:
        raise LabelNotFound
    return answer({label: found[label]})


# -- password ---------------------------------------------------------------------------------------------------------
async def show_password(request: Request[Compute]) -> Response:
    """What the guest left; the empty text when it left nothing."""
    server = await reach_server(request)
    return answer({"password": server.guest_password})


async def clear_password(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    await guest_passwords.clear(request.service, request.context, server.id)
    return empty()


# -- security groups --------------------------------------------------------------------------------------------------
async def list_security_groups(request: Request[Compute]) -> Response:
    server = await reach_server(request)
    found, known = await security_groups.of_server(request.service, request.context, server)
    return answer({"security_groups": [_group(group, known) for group in found]})


def _group(group: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    rules = [rule for rule in group["security_group_rules"] if rule["direction"] == "ingress"]
    return {
        "id": group["id"],
        "name": group["name"],
        "description": group["description"],
        "tenant_id": group["tenant_id"],
        "rules": [_rule(rule, known) for rule in rules],
    }


def _rule(rule: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A rule in the words of compute, which knew only ingress."""
    remote = known.get(rule["remote_group_id"])
    prefix = rule["remote_ip_prefix"] or ("::/0" if rule["ethertype"] == "IPv6" else "0.0.0.0/0")
    first, last = _ports(rule)
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": first,
        "to_port": last,
        "group": {"name": remote["name"], "tenant_id": remote["tenant_id"]} if remote else {},
        "ip_range": {} if rule["remote_group_id"] else {"cidr": prefix},
    }


def _ports(rule: dict[str, Any]) -> tuple[int | None, int | None]:
    """No ports means all of them, which compute writes as numbers."""
    first, last = rule["port_range_min"], rule["port_range_max"]
    if first is None and last is None:
        if str(rule["protocol"]).lower() in ("tcp", "udp"):
            return 1, 65535
        if str(rule["protocol"]).lower() in ("icmp", "icmpv6"):
            return -1, -1
    return first, last


# -- console ----------------------------------------------------------------------------------------------------------
async def create_console(request: Request[Compute]) -> Response:
    server: Server = await reach_server(request)
    wanted = request.body["remote_console"]
    protocol, kind = wanted["protocol"], wanted["type"]
    url = await consoles.open_console(request.service, request.context, server, protocol=protocol, kind=kind)
    return answer({"remote_console": {"protocol": protocol, "type": kind, "url": url}})
