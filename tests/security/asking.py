"""A request that fits a route: its path with real things in it, and a body that the route accepts."""

import random
from typing import Any

import msgspec

from pileus.foundation.http.app import Api
from pileus.foundation.http.client import Answer
from pileus.foundation.http.route import Route
from pileus.foundation.http.versions import as_text
from tests.fuzz.requests import fitting
from tests.security.stage import KEY, Stage

NOTHING = "00000000-0000-4000-8000-000000000000"
UNMADE = {"flow_id"}
"""What no path finds, because it comes and goes by itself."""


_NAMESAKES = (  # of parameters that mean different things in different places
    ("/identity/v3/users/{user_id}/credentials", "credential_id", "ec2_id"),
    ("/compute/v2.1/os-services", "service_id", "compute_service_id"),
    ("/networking/v2.0/ports", "port_id", "free_port"), ("/volume/v3/extensions", "alias", "volume_alias"),
)  # fmt: skip
_QUERIES = {"placement:get:usages": "?project_id={project_id}",
            "identity:get:role_assignments": "?scope.domain.id={domain_id}"}  # fmt: skip


class Sparse(random.Random):
    """Chance that leaves out whatever may be left out."""

    def random(self) -> float:
        return 0.99


def path(ids: dict[str, str], prefix: str, route: Route) -> str:
    """The route's path with these things in it; of what the stage does not make, one that does not exist."""
    ids = dict(ids)
    for part, name, other in _NAMESAKES:
        if (prefix + route.path).startswith(part):
            ids[name] = ids[other]
    parts = []
    for part in route.path.split("/"):
        name = part[1:-1] if part.startswith("{") else ""
        parts.append(ids.get(name, NOTHING) if name else part)
    return prefix + "/".join(parts) + _QUERIES.get(route.op, "").format(**ids)


def headers(api: Api, route: Route, token: str) -> dict[str, str]:
    sent = {"x-auth-token": token} if token else {}
    if "/auth/tokens" in route.path and route.method != "POST":
        sent["x-subject-token"] = ""
    if api.microversions is not None:
        version = min(api.microversions.maximum, route.last)
        sent["openstack-api-version"] = f"{api.microversions.type} {as_text(version)}"
    if route.method in ("POST", "PUT", "PATCH"):
        sent["content-type"] = "application/octet-stream" if route.upload else route.media[0]
    return sent


def body(ids: dict[str, str], api: Api, route: Route) -> Any:
    """What the route accepts: by hand where its schema alone does not tell, else the least that the schema allows."""
    if route.upload:
        return b"bytes"
    known = _BY_HAND.get((route.method, route.path, route.action)) or _BY_HAND.get((route.method, route.path, ""))
    if known is not None:
        return known(ids)
    if route.body is None:
        return {route.action: None} if route.action else None
    version = min(api.microversions.maximum, route.last) if api.microversions is not None else (0, 0)
    return fitting(Sparse(1), route.body.json_schema(version), 0)


async def ask(stage: Stage, prefix: str, api: Api, route: Route, who: str, ids: dict[str, str] | None = None) -> Answer:
    """One request about project red's things, or about others."""
    things = ids or stage.ids
    sent = headers(api, route, stage.tokens[who])
    if "x-subject-token" in sent:
        sent["x-subject-token"] = stage.tokens["member@red"]
    document = body(things, api, route)
    if isinstance(document, dict | list) and route.media[0] != "application/json":
        document = msgspec.json.encode(document)
    return await stage.world.ask(route.method, path(things, prefix, route), document, sent)


def _tagged(one: str, **fields: Any) -> Any:
    return lambda ids: {one: fields or {"description": "x"}}


def _groups(style: str) -> dict[tuple[str, str, str], Any]:
    return {
        ("POST", f"/v2.0/security{style}groups", ""): _tagged("security_group", name="x"),
        ("POST", f"/v2.0/security{style}group{style}rules", ""): lambda ids: {
            "security_group_rule": {
                "security_group_id": ids["security_group_id"], "direction": "egress", "protocol": "udp",
            }
        },
    }  # fmt: skip


_METADATA = {"metadata": {"k": "v"}}
_META: Any = {"meta": {"k": "v"}}
_BY_HAND: dict[tuple[str, str, str], Any] = {
    ("PATCH", "/v3/projects/{project_id}", ""): _tagged("project"),
    ("PATCH", "/v3/domains/{domain_id}", ""): _tagged("domain"),
    ("PATCH", "/v3/users/{user_id}", ""): _tagged("user"),
    ("PATCH", "/v3/groups/{group_id}", ""): _tagged("group"),
    ("PATCH", "/v3/roles/{role_id}", ""): _tagged("role"),
    ("PATCH", "/v3/regions/{region_id}", ""): _tagged("region"),
    ("PATCH", "/v3/services/{service_id}", ""): _tagged("service"),
    ("PATCH", "/v3/endpoints/{endpoint_id}", ""): lambda ids: {"endpoint": {"url": "http://y"}},
    ("POST", "/v3/endpoints", ""): lambda ids: {
        "endpoint": {"interface": "admin", "url": "http://z", "service_id": ids["service_id"]}
    },
    ("POST", "/v3/users/{user_id}/application_credentials", ""): _tagged("application_credential", name="b"),
    ("POST", "/v3/credentials", ""): lambda ids: {
        "credential": {"type": "cert", "blob": "c", "user_id": ids["user_id"]}
    },
    ("PATCH", "/v3/credentials/{credential_id}", ""): lambda ids: {"credential": {"blob": "d"}},
    ("POST", "/v3/users/{user_id}/credentials/OS-EC2", ""): lambda ids: {"tenant_id": ids["project_id"]},
    ("POST", "/v2.1/servers", ""): lambda ids: {
        "server": {"name": "x", "flavorRef": ids["flavor_id"], "imageRef": ids["image_id"], "networks": "none"}
    },
    ("PUT", "/v2.1/servers/{server_id}", ""): _tagged("server", name="server"),
    ("POST", "/v2.1/servers/{server_id}/action", "rebuild"): lambda ids: {"rebuild": {"imageRef": ids["image_id"]}},
    ("POST", "/v2.1/servers/{server_id}/action", "addSecurityGroup"): lambda ids: {"addSecurityGroup": {"name": "sg"}},
    ("POST", "/v2.1/servers/{server_id}/action", "removeSecurityGroup"): lambda ids: {
        "removeSecurityGroup": {"name": "sg"}
    },
    ("POST", "/v2.1/servers/{server_id}/metadata", ""): lambda ids: _METADATA,
    ("PUT", "/v2.1/servers/{server_id}/metadata", ""): lambda ids: _METADATA,
    ("PUT", "/v2.1/servers/{server_id}/metadata/{key}", ""): lambda ids: _META,
    ("PUT", "/v2.1/servers/{server_id}/tags", ""): lambda ids: {"tags": ["t"]},
    ("POST", "/v2.1/servers/{server_id}/remote-consoles", ""): lambda ids: {
        "remote_console": {"protocol": "vnc", "type": "novnc"}
    },
    ("POST", "/v2.1/servers/{server_id}/os-volume_attachments", ""): lambda ids: {
        "volumeAttachment": {"volumeId": ids["volume_id"]}
    },
    ("PUT", "/v2.1/servers/{server_id}/os-volume_attachments/{volume_id}", ""): lambda ids: {
        "volumeAttachment": {"volumeId": ids["volume_id"]}
    },
    ("POST", "/v2.1/servers/{server_id}/os-interface", ""): lambda ids: {
        "interfaceAttachment": {"net_id": ids["network_id"]}
    },
    ("POST", "/v2.1/flavors/{flavor_id}/os-extra_specs", ""): lambda ids: {"extra_specs": {"k": "v"}},
    ("PUT", "/v2.1/flavors/{flavor_id}/os-extra_specs/{key}", ""): lambda ids: {"k": "w"},
    ("POST", "/v2.1/flavors/{flavor_id}/action", "addTenantAccess"): lambda ids: {
        "addTenantAccess": {"tenant": ids["blue"]}
    },
    ("POST", "/v2.1/flavors/{flavor_id}/action", "removeTenantAccess"): lambda ids: {
        "removeTenantAccess": {"tenant": ids["blue"]}
    },
    ("POST", "/v2.1/os-keypairs", ""): lambda ids: {"keypair": {"name": "other", "public_key": KEY}},
    ("PUT", "/v2.1/os-quota-sets/{project_id}", ""): _tagged("quota_set", cores=50),
    ("PUT", "/v2.1/os-quota-class-sets/{id}", ""): _tagged("quota_class_set", cores=50),
    ("PUT", "/v2.1/os-services/{service_id}", ""): lambda ids: {"status": "enabled"},
    ("POST", "/v2.1/os-aggregates", ""): _tagged("aggregate", name="b"),
    ("PUT", "/v2.1/os-aggregates/{aggregate_id}", ""): _tagged("aggregate", name="c"),
    ("POST", "/v2.1/os-aggregates/{aggregate_id}/action", "add_host"): lambda ids: {"add_host": {"host": ids["host"]}},
    ("POST", "/v2.1/os-aggregates/{aggregate_id}/action", "remove_host"): lambda ids: {
        "remove_host": {"host": ids["host"]}
    },
    ("POST", "/v2.1/os-aggregates/{aggregate_id}/action", "set_metadata"): lambda ids: {"set_metadata": _METADATA},
    ("POST", "/v2/images", ""): lambda ids: {"name": "x"},
    ("PATCH", "/v2/images/{image_id}", ""): lambda ids: [{"op": "replace", "path": "/name", "value": "disk"}],
    ("POST", "/v2/images/{image_id}/import", ""): lambda ids: {"method": {"name": "glance-direct"}},
    ("POST", "/v2/images/{image_id}/members", ""): lambda ids: {"member": ids["project_id"]},
    ("POST", "/v2.0/networks", ""): _tagged("network", name="x"),
    ("PUT", "/v2.0/networks/{network_id}", ""): _tagged("network"),
    ("POST", "/v2.0/subnets", ""): lambda ids: {
        "subnet": {"network_id": ids["network_id"], "ip_version": 4, "cidr": "10.9.0.0/24"}
    },
    ("PUT", "/v2.0/subnets/{subnet_id}", ""): _tagged("subnet"),
    ("POST", "/v2.0/ports", ""): lambda ids: {"port": {"network_id": ids["network_id"]}},
    ("PUT", "/v2.0/ports/{port_id}", ""): _tagged("port"),
    ("POST", "/v2.0/routers", ""): _tagged("router", name="x"),
    ("PUT", "/v2.0/routers/{router_id}", ""): _tagged("router"),
    ("PUT", "/v2.0/routers/{router_id}/add_router_interface", ""): lambda ids: {"subnet_id": ids["subnet_id"]},
    ("PUT", "/v2.0/routers/{router_id}/remove_router_interface", ""): lambda ids: {"subnet_id": ids["subnet_id"]},
    ("POST", "/v2.0/floatingips", ""): lambda ids: {"floatingip": {"floating_network_id": ids["outside"]}},
    ("PUT", "/v2.0/floatingips/{floatingip_id}", ""): _tagged("floatingip"),
    **_groups("-"), **_groups("_"),
    ("PUT", "/v2.0/quotas/{project_id}", ""): _tagged("quota", port=300),
    ("PUT", "/v2.0/agents/{agent_id}", ""): _tagged("agent"),
    ("POST", "/v3/volumes", ""): _tagged("volume", size=1),
    ("PUT", "/v3/volumes/{volume_id}", ""): _tagged("volume", name="data"),
    ("POST", "/v3/volumes/{volume_id}/metadata", ""): lambda ids: _METADATA,
    ("PUT", "/v3/volumes/{volume_id}/metadata", ""): lambda ids: _METADATA,
    ("PUT", "/v3/volumes/{volume_id}/metadata/{key}", ""): lambda ids: _META,
    ("POST", "/v3/snapshots", ""): lambda ids: {"snapshot": {"volume_id": ids["volume_id"], "force": True}},
    ("PUT", "/v3/snapshots/{snapshot_id}", ""): _tagged("snapshot", name="x"),
    ("POST", "/v3/attachments", ""): lambda ids: {
        "attachment": {"volume_uuid": ids["volume_id"], "instance_uuid": ids["server_id"]}
    },
    ("PUT", "/v3/attachments/{attachment_id}", ""): _tagged("attachment", connector={"host": "h"}),
    ("POST", "/v3/volumes/{volume_id}/action", "os-attach"): lambda ids: {
        "os-attach": {"instance_uuid": ids["server_id"], "mountpoint": "/dev/vdb"}
    },
    ("POST", "/v3/volumes/{volume_id}/action", "os-reset_status"): lambda ids: {
        "os-reset_status": {"status": "in-use"}
    },
    ("POST", "/v3/volumes/{volume_id}/action", "os-initialize_connection"): lambda ids: {
        "os-initialize_connection": {"connector": {"host": "h"}}
    },
    ("POST", "/v3/volumes/{volume_id}/action", "os-terminate_connection"): lambda ids: {
        "os-terminate_connection": {"connector": {"host": "h"}}
    },
    ("POST", "/v3/volumes/{volume_id}/action", "os-set_image_metadata"): lambda ids: {
        "os-set_image_metadata": _METADATA
    },
    ("POST", "/v3/volumes/{volume_id}/action", "os-unset_image_metadata"): lambda ids: {
        "os-unset_image_metadata": {"key": "k"}
    },
    ("POST", "/v3/types", ""): _tagged("volume_type", name="x"),
    ("PUT", "/v3/types/{type_id}", ""): _tagged("volume_type"),
    ("POST", "/v3/types/{type_id}/extra_specs", ""): lambda ids: {"extra_specs": {"k": "v"}},
    ("PUT", "/v3/types/{type_id}/extra_specs/{key}", ""): lambda ids: {"k": "w"},
    ("POST", "/v3/types/{type_id}/action", "addProjectAccess"): lambda ids: {
        "addProjectAccess": {"project": ids["blue"]}
    },
    ("POST", "/v3/types/{type_id}/action", "removeProjectAccess"): lambda ids: {
        "removeProjectAccess": {"project": ids["blue"]}
    },
    ("PUT", "/v3/os-quota-sets/{target_project_id}", ""): _tagged("quota_set", volumes=20),
    ("PUT", "/v3/os-quota-class-sets/{class_name}", ""): _tagged("quota_class_set", volumes=20),
    ("POST", "/resource_classes", ""): lambda ids: {"name": "CUSTOM_X"},
    ("PUT", "/resource_classes/{name}", ""): lambda ids: {"name": "CUSTOM_Y"},
    ("POST", "/resource_providers/{uuid}/inventories", ""): lambda ids: {
        "resource_class": "DISK_GB", "total": 2, "resource_provider_generation": 1
    },
}  # fmt: skip
