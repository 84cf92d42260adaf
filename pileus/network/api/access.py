"""What policy is asked about, and how: targets, rules for single attributes, who owns what is made."""

from collections.abc import Iterable, Mapping
from typing import Any

from pileus.foundation.http.request import Request
from pileus.foundation.policy import NotAllowed
from pileus.network.app import networks
from pileus.network.app.ports import Actor
from pileus.network.app.service import NetworkService
from pileus.network.domain.errors import BadRequest, HTTPBadRequest, NetworkNotFound, PolicyNotAuthorized
from pileus.network.domain.network import Network
from pileus.network.domain.port import Port
from pileus.network.domain.subnet import Subnet

Call = Request[NetworkService]
Target = Mapping[str, Any]


def actor(request: Call) -> Actor:
    """In whose name the use case acts."""
    return Actor(request.context.project_id, request.context.is_admin or "service" in request.context.roles)


# -- targets ------------------------------------------------------------------------------------------------------
def of_project(project_id: str) -> dict[str, Any]:
    return {"project_id": project_id, "tenant_id": project_id}


def of_network(network: Network) -> dict[str, Any]:
    return {
        **of_project(network.project_id),
        "shared": network.shared,
        "router:external": network.is_external,
    }


def in_network(project_id: str, network: Network) -> dict[str, Any]:
    """Something in a network: a subnet or port that belongs to `project_id`."""
    return {
        **of_project(project_id),
        "network:project_id": network.project_id,
        "network:tenant_id": network.project_id,
        "shared": network.shared,
        "router:external": network.is_external,
    }


def of_port(port: Port, network_project_id: str) -> dict[str, Any]:
    """A port: its host is told too, so that a rule can say which host may touch it."""
    return {
        **of_project(port.project_id),
        "network:project_id": network_project_id,
        "network:tenant_id": network_project_id,
        "device_owner": port.device_owner,
        "binding:host_id": port.host,
    }


def of_subnet(subnet: Subnet, network: Network) -> dict[str, Any]:
    return in_network(subnet.project_id, network)


def of_rule(group_project_id: str) -> dict[str, Any]:
    return {
        **of_project(group_project_id),
        "security_group:project_id": group_project_id,
        "security_group:tenant_id": group_project_id,
    }


# -- asking -------------------------------------------------------------------------------------------------------
def enforce(request: Call, target: Target, attributes: Iterable[str] = ()) -> None:
    """Ask policy about the route's rule, and about the rules of single attributes that the request sets.

    Raises: PolicyNotAuthorized (403).
    """
    action = request.route.policy or ""
    rules = [action, *(f"{action}:{name}" for name in attributes)]
    try:
        for rule in rules:
            request.authorize(target, rule)
    except NotAllowed:
        named = " and ".join(f"rule:{rule}" for rule in rules)
        raise PolicyNotAuthorized(rules=f"({named})" if len(rules) > 1 else named) from None


def may_see(request: Call, rule: str, target: Target) -> bool:
    """Whether the caller may see a thing; where that is the route's own rule, policy has been asked with it."""
    if rule == request.route.policy:
        request.authorized = True
    return request.may(rule, target)


async def visible_network(request: Call, network_id: str) -> Network:
    """A network the caller may see. Raises: NetworkNotFound (404)."""
    found = await networks.find(request.service, network_id)
    if found is None or not may_see(request, "get_network", of_network(found)):
        raise NetworkNotFound(id=network_id)
    return found


# -- ownership ----------------------------------------------------------------------------------------------------
def owner(request: Call, item: Mapping[str, Any]) -> str:
    """The project that a new thing belongs to: the caller's, or the one an administrator or a service names.

    Raises: HTTPBadRequest (400).
    """
    named = [item[key] for key in ("project_id", "tenant_id") if key in item]
    if len(set(named)) > 1:
        raise HTTPBadRequest(reason="'project_id' and 'tenant_id' do not match")
    own = request.context.project_id
    if named and named[0] != own:
        if not (request.context.is_admin or request.context.roles & {"service", "advsvc"}):
            raise HTTPBadRequest(
                reason="Specifying 'project_id' other than the authenticated project in request is not allowed for "
                "the current user."
            )
        return str(named[0])
    if not own:
        raise HTTPBadRequest(reason="Running without keystone AuthN requires that project_id is specified")
    return own


# -- conditions ---------------------------------------------------------------------------------------------------
def expected_revision(request: Call) -> int | None:
    """What `If-Match: revision_number=N` asks for. Raises: BadRequest (400)."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    revisions = [tag.removeprefix("revision_number=") for tag in tags if tag.startswith("revision_number=")]
    if not revisions:
        return None
    if len(revisions) > 1:
        raise BadRequest(resource="if-match", reason="Multiple revision_number etags are not supported")
    if not (revisions[0].isascii() and revisions[0].isdigit() and len(revisions[0]) < 19):
        raise BadRequest(
            resource="if-match", reason="Revision number etag must be in the format of revision_number=<int>"
        )
    return int(revisions[0])


def items(request: Call, one: str, many: str) -> tuple[list[dict[str, Any]], bool]:
    """What a create asks for, and whether it asked for several."""
    if one in request.body:
        return [request.body[one]], False
    return list(request.body[many]), True
