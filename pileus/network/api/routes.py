"""The Networking API's operations as one table: method, path, handler, policy rule, body."""

from collections.abc import Iterator

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Handler, Route
from pileus.foundation.http.schema import Body
from pileus.network.api import (
    agents,
    bodies,
    discovery,
    floating_ips,
    networks,
    ports,
    quotas,
    routers,
    security_groups,
    subnets,
    tags,
)
from pileus.network.api.dress import dress
from pileus.network.api.hosts import HOSTS
from pileus.network.api.policies import TAGGED

CREATED, GONE = 201, 204


def operation(method: str, path: str) -> str:
    """The row of the API reference: `network:get:ports/*`."""
    where = path.removeprefix("/v2.0").strip("/")
    if "/tags" in where:  # one row for every kind
        return f"network:{method.lower()}:{{}}/*/tags{'/*' if where.endswith('{tag}') else ''}"
    parts = ["*" if part.startswith("{") else part.replace("_", "-") for part in where.split("/")]
    name = "/".join(parts).removesuffix(".json")
    return f"network:{method.lower()}:{name or ('' if path == '/' else 'v2.0')}"


def _route(
    method: str, path: str, handler: Handler, rule: str | None, *, body: Body | None = None, success: int = 200
) -> Route:
    """`rule` None asks for no token, "" for any; every other is asked by the handler, which knows whose thing it is."""
    return Route(
        method, f"/v2.0{path}", handler, policy=rule, op=operation(method, f"/v2.0{path}"), success=success, body=body,
        late=bool(rule),
    )  # fmt: skip


def _crud(
    many: str, one: str, parameter: str, handlers: tuple[Handler, ...], create: Body, update: Body | None
) -> Iterator[Route]:
    """List, create, show, update, delete of one collection; handlers in this order."""
    listed, made, shown, *rest = handlers
    item = f"/{many}/{{{parameter}}}"
    yield _route("GET", f"/{many}", listed, f"get_{one}")
    yield _route("POST", f"/{many}", made, f"create_{one}", body=create, success=CREATED)
    yield _route("GET", item, shown, f"get_{one}")
    if update is not None:
        yield _route("PUT", item, rest[0], f"update_{one}", body=update)
    yield _route("DELETE", item, rest[-1], f"delete_{one}", success=GONE)


_DISCOVERY = (
    Route("GET", "/", discovery.list_versions, None, op=operation("GET", "/")),
    _route("GET", "", discovery.list_resources, ""),
    _route("GET", "/", discovery.list_resources, ""),
    _route("GET", "/extensions", discovery.list_extensions, ""),
    _route("GET", "/extensions/{alias}", discovery.show_extension, ""),
    _route("GET", "/availability_zones", discovery.list_zones, "get_availability_zone"),
)

_NETWORKS = (
    networks.list_networks, networks.create_network, networks.show_network, networks.update_network,
    networks.delete_network,
)  # fmt: skip
_SUBNETS = (
    subnets.list_subnets, subnets.create_subnet, subnets.show_subnet, subnets.update_subnet, subnets.delete_subnet,
)  # fmt: skip
_PORTS = (ports.list_ports, ports.create_port, ports.show_port, ports.update_port, ports.delete_port)
_ROUTERS = (
    routers.list_routers, routers.create_router, routers.show_router, routers.update_router, routers.delete_router,
)  # fmt: skip
_FLOATING_IPS = (
    floating_ips.list_floating_ips, floating_ips.create_floating_ip, floating_ips.show_floating_ip,
    floating_ips.update_floating_ip, floating_ips.delete_floating_ip,
)  # fmt: skip
_GROUPS = (
    security_groups.list_groups, security_groups.create_group, security_groups.show_group,
    security_groups.update_group, security_groups.delete_group,
)  # fmt: skip
_RULES = (
    security_groups.list_rules, security_groups.create_rule, security_groups.show_rule, security_groups.delete_rule
)  # fmt: skip

_RESOURCES = (
    *_crud("networks", "network", "network_id", _NETWORKS, bodies.NETWORK_CREATE, bodies.NETWORK_UPDATE),
    *_crud("subnets", "subnet", "subnet_id", _SUBNETS, bodies.SUBNET_CREATE, bodies.SUBNET_UPDATE),
    *_crud("ports", "port", "port_id", _PORTS, bodies.PORT_CREATE, bodies.PORT_UPDATE),
    *_crud("routers", "router", "router_id", _ROUTERS, bodies.ROUTER_CREATE, bodies.ROUTER_UPDATE),
    _route(
        "PUT", "/routers/{router_id}/add_router_interface", routers.add_interface, "add_router_interface",
        body=bodies.INTERFACE,
    ),
    _route(
        "PUT", "/routers/{router_id}/remove_router_interface", routers.remove_interface, "remove_router_interface",
        body=bodies.INTERFACE,
    ),
    *_crud(
        "floatingips", "floatingip", "floatingip_id", _FLOATING_IPS, bodies.FLOATING_IP_CREATE,
        bodies.FLOATING_IP_UPDATE,
    ),
    *_crud(
        "security-groups", "security_group", "security_group_id", _GROUPS, bodies.SECURITY_GROUP_CREATE,
        bodies.SECURITY_GROUP_UPDATE,
    ),
    *_crud(
        "security-group-rules", "security_group_rule", "security_group_rule_id", _RULES, bodies.RULE_CREATE, None
    ),
)  # fmt: skip

_QUOTA = "/quotas/{project_id}"
_QUOTAS = (
    _route("GET", "/quotas", quotas.list_quotas, "get_quota"),
    _route("GET", _QUOTA, quotas.show_quota, "get_quota"),
    _route("GET", f"{_QUOTA}/default", quotas.show_default_quota, "get_quota"),
    _route("GET", f"{_QUOTA}/details.json", quotas.show_quota_details, "get_quota"),
    _route("GET", f"{_QUOTA}/details", quotas.show_quota_details, "get_quota"),
    _route("PUT", _QUOTA, quotas.update_quota, "update_quota", body=bodies.QUOTA_UPDATE),
    _route("DELETE", _QUOTA, quotas.delete_quota, "delete_quota", success=GONE),
)

_AGENTS = (
    _route("GET", "/agents", agents.list_agents, "get_agent"),
    _route("GET", "/agents/{agent_id}", agents.show_agent, "get_agent"),
    _route("PUT", "/agents/{agent_id}", agents.update_agent, "update_agent", body=bodies.AGENT_UPDATE),
    _route("DELETE", "/agents/{agent_id}", agents.delete_agent, "delete_agent", success=GONE),
)

_PLURALS = {"security_group": "security-groups"}


def _tags() -> Iterator[Route]:
    for kind in TAGGED:
        path = f"/{_PLURALS.get(kind, kind + 's')}/{{{kind}_id}}/tags"
        yield _route("GET", path, tags.list_tags, f"get_{kind}:tags")
        yield _route("POST", path, tags.add_tags, f"update_{kind}:tags", body=bodies.TAGS)
        yield _route("PUT", path, tags.replace_tags, f"update_{kind}:tags", body=bodies.TAGS)
        yield _route("DELETE", path, tags.delete_tags, f"delete_{kind}:tags", success=GONE)
        yield _route("GET", f"{path}/{{tag}}", tags.check_tag, f"get_{kind}:tags", success=GONE)
        yield _route("PUT", f"{path}/{{tag}}", tags.add_tag, f"update_{kind}:tags", success=CREATED)
        yield _route("DELETE", f"{path}/{{tag}}", tags.delete_tag, f"delete_{kind}:tags", success=GONE)


def _underscored(routes: tuple[Route, ...]) -> Iterator[Route]:
    """The same collections under their names with underscores: older clients ask so."""
    for route in routes:
        other = route.path.replace("security-group-rules", "security_group_rules")
        other = other.replace("security-groups", "security_groups")
        if other != route.path:
            yield Route(
                route.method, other, route.handler, policy=route.policy, op=route.op, success=route.success,
                body=route.body, late=route.late,
            )  # fmt: skip


_NAMED = (*_RESOURCES, *_tags())
ROUTES = (*_DISCOVERY, *_NAMED, *_underscored(_NAMED), *_QUOTAS, *_AGENTS)

API = Api("network", ROUTES, dress, hosts=HOSTS)
