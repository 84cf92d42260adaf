"""The collections of this API: how a row becomes an answer, by what it can be filtered and sorted, who may see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec

from pileus.network.api import access
from pileus.network.app import listing
from pileus.network.domain import errors
from pileus.network.domain.agent import Agent
from pileus.network.domain.document import cut, render
from pileus.network.domain.floating_ip import FloatingIp
from pileus.network.domain.network import HIDDEN as HIDDEN_OF_NETWORK
from pileus.network.domain.network import Network
from pileus.network.domain.port import HIDDEN as HIDDEN_OF_PORT
from pileus.network.domain.port import Port
from pileus.network.domain.router import Router
from pileus.network.domain.security_group import Rule, SecurityGroup
from pileus.network.domain.subnet import Subnet

_NOT_SCALAR = frozenset(
    {
        "allocation_pools", "host_routes", "external_gateway_info", "allowed_address_pairs", "extra_dhcp_opts",
        "binding:profile", "binding:vif_details", "fixed_ips", "routes", "tags", "subnets", "service_types",
        "dns_nameservers", "configurations", "security_groups", "availability_zones", "availability_zone_hints",
    }
)  # fmt: skip
_OWNER = frozenset({"tenant_id", "project_id"})


@dataclass(frozen=True)
class Kind:
    """One collection. `target` makes of a row what policy is asked about."""

    one: str
    many: str
    value: type[msgspec.Struct]
    table: listing.Table
    not_found: type[errors.Named]
    target: Callable[[Mapping[str, Any]], dict[str, Any]]
    target_columns: tuple[str, ...]  # the columns of the row that the target depends on
    hidden: tuple[str, ...] = ()  # attributes that have a rule of their own, last in the document
    more_filters: frozenset[str] = field(default=frozenset())

    @cached_property
    def attributes(self) -> frozenset[str]:
        """What a document of this kind shows."""
        return frozenset(self.value.__struct_encode_fields__)

    @cached_property
    def filters(self) -> frozenset[str]:
        """What a list can be filtered by."""
        return (self.attributes - _NOT_SCALAR) | self.more_filters | _OWNER

    @cached_property
    def sort_keys(self) -> frozenset[str]:
        return (self.attributes - _NOT_SCALAR - set(self.hidden)) | _OWNER

    @cached_property
    def flags(self) -> frozenset[str]:
        """The attributes that are true or false."""
        found = msgspec.structs.fields(self.value)
        return frozenset(item.encode_name for item in found if item.type is bool)

    @cached_property
    def hidden_rules(self) -> tuple[str, ...]:
        return tuple(f"get_{self.one}:{name}" for name in self.hidden)

    def denied(self, request: access.Call, target: access.Target) -> tuple[str, ...]:
        """The attributes that the caller may not see of what `target` stands for."""
        return tuple(
            name for name, rule in zip(self.hidden, self.hidden_rules, strict=True) if not request.may(rule, target)
        )

    def without(self, document: str, denied: tuple[str, ...]) -> str:
        """The document without these attributes."""
        if not denied:
            return document
        if len(denied) == len(self.hidden):
            return cut(document, self.hidden[0])
        parts = msgspec.json.decode(document)
        return msgspec.json.encode({name: part for name, part in parts.items() if name not in denied}).decode()

    def shown(self, request: access.Call, value: msgspec.Struct, target: access.Target) -> str:
        """What the caller sees of a value."""
        return self.without(render(value), self.denied(request, target))


def _plain_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return access.of_project(row["project_id"])


def _network_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **access.of_project(row["project_id"]),
        "shared": bool(row["shared"]),
        "router:external": bool(row["is_external"]),
    }


def _subnet_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_network_target(row),
        "network:project_id": row["network_project_id"],
        "network:tenant_id": row["network_project_id"],
    }


def _port_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **access.of_project(row["project_id"]),
        "network:project_id": row["network_project_id"],
        "network:tenant_id": row["network_project_id"],
        "device_owner": row["device_owner"],
        "binding:host_id": row["host"],
    }


def _group_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**access.of_project(row["project_id"]), "shared": False}


def _rule_target(row: Mapping[str, Any]) -> dict[str, Any]:
    return access.of_rule(row["group_project_id"])


_TAGS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any", "changed_since"})

NETWORKS = Kind(
    "network", "networks", Network, listing.NETWORKS, errors.NetworkNotFound, _network_target,
    ("project_id", "shared", "is_external"),
    (HIDDEN_OF_NETWORK, "provider:physical_network", "provider:segmentation_id"), _TAGS,
)  # fmt: skip
SUBNETS = Kind(
    "subnet", "subnets", Subnet, listing.SUBNETS, errors.SubnetNotFound, _subnet_target,
    ("project_id", "network_project_id", "shared", "is_external"), (), _TAGS,
)  # fmt: skip
PORTS = Kind(
    "port", "ports", Port, listing.PORTS, errors.PortNotFound, _port_target,
    ("project_id", "network_project_id", "device_owner", "host"),
    (HIDDEN_OF_PORT, "binding:profile", "binding:vif_type", "binding:vif_details"),
    _TAGS | {"fixed_ips", "security_groups"},
)  # fmt: skip
ROUTERS = Kind(
    "router", "routers", Router, listing.ROUTERS, errors.RouterNotFound, _plain_target, ("project_id",), (), _TAGS
)
FLOATING_IPS = Kind(
    "floatingip", "floatingips", FloatingIp, listing.FLOATING_IPS, errors.FloatingIPNotFound, _plain_target,
    ("project_id",), (), _TAGS,
)  # fmt: skip
SECURITY_GROUPS = Kind(
    "security_group", "security_groups", SecurityGroup, listing.SECURITY_GROUPS, errors.SecurityGroupNotFound,
    _group_target, ("project_id",), (), _TAGS,
)  # fmt: skip
AGENTS = Kind("agent", "agents", Agent, listing.AGENTS, errors.AgentNotFound, lambda row: {}, ())
RULES = Kind(
    "security_group_rule", "security_group_rules", Rule, listing.RULES, errors.SecurityGroupRuleNotFound,
    _rule_target, ("group_project_id",), (), frozenset({"changed_since"}),
)  # fmt: skip
