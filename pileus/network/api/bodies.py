"""What requests may say, resource by resource.

The values are judged here by their form alone; what they mean is the domain's business.
"""

from pileus.foundation.http.schema import (
    Body,
    Field,
    Type,
    array,
    either,
    integer_or_digits,
    nullable,
    object_,
    text,
    uuid,
    word,
)
from pileus.network.domain.agent import Agent
from pileus.network.domain.floating_ip import FloatingIp
from pileus.network.domain.network import Network
from pileus.network.domain.port import Port
from pileus.network.domain.quota import DEFAULTS
from pileus.network.domain.router import Router
from pileus.network.domain.security_group import Rule, SecurityGroup
from pileus.network.domain.subnet import MODES, Subnet

_TRUE = (True, "true", "True", "TRUE", "1", 1)
_FALSE = (False, "false", "False", "FALSE", "0", 0)

truth: Type = {"enum": [*_TRUE, *_FALSE]}
"""True and false, and the words and numbers this API takes for them; `is_true` reads it."""

MOST_ITEMS = 512  # of any list in a body


def is_true(value: object) -> bool:
    """What a value that passed `truth` means."""
    return value in _TRUE


_NAME = text(0, 255)
_PROJECT = text(0, 255)
_TAG = text(1, 255)
_TAGS = array(_TAG, maximum=50)
_ADDRESS = text(1, 64)
_INT = integer_or_digits(-(1 << 31), (1 << 31) - 1)
_OWNER = (Field("tenant_id", _PROJECT), Field("project_id", _PROJECT))
_DESCRIBED = (Field("name", _NAME), Field("description", _NAME))
_ZONES = Field("availability_zone_hints", array(text(1, 255), maximum=16))
_ROUTES = array(
    object_(Field("destination", text(1, 64), required=True), Field("nexthop", _ADDRESS, required=True)),
    maximum=MOST_ITEMS,
)
_POOLS = array(
    object_(Field("start", _ADDRESS, required=True), Field("end", _ADDRESS, required=True)), maximum=MOST_ITEMS
)
_FIXED_IPS = array(object_(Field("subnet_id", uuid), Field("ip_address", _ADDRESS)), maximum=MOST_ITEMS)

# -- networks -----------------------------------------------------------------------------------------------------
_NETWORK_BOTH = (
    *_DESCRIBED,
    Field("admin_state_up", truth),
    Field("shared", truth),
    Field("router:external", truth),
    Field("mtu", integer_or_digits(0, 65535)),
    Field("port_security_enabled", truth),
    Field("provider:network_type", nullable(text(1, 32))),
    Field("provider:physical_network", nullable(text(1, 64))),
    Field("provider:segmentation_id", nullable(_INT)),
)
NETWORK_CREATE = Body(("network", "networks"), *_NETWORK_BOTH, *_OWNER, _ZONES, Field("tags", _TAGS))
NETWORK_UPDATE = Body("network", *_NETWORK_BOTH)

# -- subnets ------------------------------------------------------------------------------------------------------
_SUBNET_BOTH = (
    *_DESCRIBED,
    Field("gateway_ip", nullable(text(0, 64))),
    Field("allocation_pools", _POOLS),
    Field("enable_dhcp", truth),
    Field("dns_nameservers", nullable(array(_ADDRESS, maximum=MOST_ITEMS))),
    Field("host_routes", nullable(_ROUTES)),
)
SUBNET_CREATE = Body(
    ("subnet", "subnets"),
    *_SUBNET_BOTH,
    *_OWNER,
    Field("network_id", uuid, required=True),
    Field("ip_version", {"enum": [4, 6, "4", "6"]}, required=True),
    Field("cidr", nullable(text(1, 64))),
    Field("subnetpool_id", nullable(text(1, 64))),
    Field("ipv6_ra_mode", nullable(word(*MODES))),
    Field("ipv6_address_mode", nullable(word(*MODES))),
    Field("tags", _TAGS),
)
SUBNET_UPDATE = Body("subnet", *_SUBNET_BOTH)

# -- ports --------------------------------------------------------------------------------------------------------
_PAIR = object_(Field("ip_address", text(1, 64), required=True), Field("mac_address", nullable(text(0, 32))))
_DHCP_OPT = object_(
    Field("opt_name", text(1, 64), required=True),
    Field("opt_value", nullable(text(0, 255))),
    Field("ip_version", nullable({"enum": [4, 6, "4", "6"]})),
)
_PORT_BOTH = (
    *_DESCRIBED,
    Field("admin_state_up", truth),
    Field("mac_address", nullable(text(1, 32))),
    Field("fixed_ips", nullable(_FIXED_IPS)),
    Field("device_id", text(0, 255)),
    Field("device_owner", text(0, 255)),
    Field("security_groups", nullable(array(uuid, maximum=MOST_ITEMS))),
    Field("allowed_address_pairs", nullable(array(_PAIR, maximum=MOST_ITEMS))),
    Field("extra_dhcp_opts", nullable(array(_DHCP_OPT, maximum=MOST_ITEMS))),
    Field("port_security_enabled", truth),
    Field("binding:host_id", nullable(text(0, 255))),
    Field("binding:profile", nullable({"type": "object", "maxProperties": 64})),
    Field("binding:vnic_type", word("normal")),
)
PORT_CREATE = Body(
    ("port", "ports"), *_PORT_BOTH, *_OWNER, Field("network_id", uuid, required=True), Field("tags", _TAGS)
)
PORT_UPDATE = Body("port", *_PORT_BOTH)

# -- routers ------------------------------------------------------------------------------------------------------
_GATEWAY = either(
    {"type": "null"},
    {"type": "object", "maxProperties": 0},
    object_(
        Field("network_id", uuid, required=True),
        Field("enable_snat", truth),
        Field("external_fixed_ips", nullable(_FIXED_IPS)),
    ),
)
_ROUTER_BOTH = (*_DESCRIBED, Field("admin_state_up", truth), Field("external_gateway_info", _GATEWAY))
ROUTER_CREATE = Body(("router", "routers"), *_ROUTER_BOTH, *_OWNER, _ZONES, Field("tags", _TAGS))
ROUTER_UPDATE = Body("router", *_ROUTER_BOTH, Field("routes", nullable(_ROUTES)))
INTERFACE = Body(None, Field("subnet_id", uuid), Field("port_id", uuid), additional=True)

# -- floating IPs -------------------------------------------------------------------------------------------------
_FLOATING_BOTH = (
    Field("port_id", nullable(uuid)),
    Field("fixed_ip_address", nullable(_ADDRESS)),
    Field("description", _NAME),
)
FLOATING_IP_CREATE = Body(
    ("floatingip", "floatingips"),
    *_FLOATING_BOTH,
    *_OWNER,
    Field("floating_network_id", uuid, required=True),
    Field("floating_ip_address", nullable(_ADDRESS)),
    Field("subnet_id", nullable(uuid)),
    Field("tags", _TAGS),
)
FLOATING_IP_UPDATE = Body("floatingip", *_FLOATING_BOTH)

# -- security groups ----------------------------------------------------------------------------------------------
SECURITY_GROUP_CREATE = Body(
    ("security_group", "security_groups"),
    *_DESCRIBED,
    *_OWNER,
    Field("stateful", {"enum": [True, "true", "True", 1, "1"]}),  # a stateless group could not be kept to
    Field("tags", _TAGS),
)
SECURITY_GROUP_UPDATE = Body("security_group", *_DESCRIBED)
RULE_CREATE = Body(
    ("security_group_rule", "security_group_rules"),
    *_OWNER,
    Field("security_group_id", uuid, required=True),
    Field("direction", word("ingress", "egress"), required=True),
    Field("ethertype", nullable({"type": "string", "pattern": "^[iI][pP][vV][46]$"})),
    Field("protocol", nullable({"type": ["string", "integer"], "maxLength": 40})),
    Field("port_range_min", nullable(_INT)),
    Field("port_range_max", nullable(_INT)),
    Field("remote_ip_prefix", nullable(text(0, 64))),
    Field("remote_group_id", nullable(text(0, 64))),
    Field("remote_address_group_id", {"type": "null"}),
    Field("description", _NAME),
)

# -- quotas, tags -------------------------------------------------------------------------------------------------
QUOTA_UPDATE = Body(
    "quota",
    *(Field(resource, integer_or_digits(-1, (1 << 31) - 1)) for resource in DEFAULTS),
    Field("force", truth),
    Field("check_limit", truth),
    *_OWNER,
)
AGENT_UPDATE = Body("agent", Field("admin_state_up", truth), Field("description", nullable(_NAME)))
TAGS = Body(None, Field("tags", _TAGS, required=True))

# What answers show and requests may not say: another complaint than for a name that nobody knows.
READ_ONLY: dict[str, frozenset[str]] = {
    kind: frozenset(value.__struct_encode_fields__)
    | frozenset({"security_group_rules", "port_details", "tenant_id", "project_id"})
    for kind, value in {
        "network": Network,
        "subnet": Subnet,
        "port": Port,
        "router": Router,
        "floatingip": FloatingIp,
        "security_group": SecurityGroup,
        "security_group_rule": Rule,
        "agent": Agent,
    }.items()
}
