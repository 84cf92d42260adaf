"""Who may do what by default: OpenStack's roles and rule names, so that an operator's policy.yaml keeps working.

One thing is added: a service that speaks for a user (a service token beside the user's) may bind that user's own ports
to hosts, as it may already delete them.
Source: policy reference of the networking service, release 2026.2.
"""

from collections.abc import Iterator

from pileus.foundation.policy import RuleDefault

ADMIN = "rule:admin_only"
MEMBER = "(rule:admin_only) or (role:member and project_id:%(project_id)s)"
MANAGER = "(rule:admin_only) or (role:manager and project_id:%(project_id)s)"
READER = "(rule:admin_only) or (role:reader and project_id:%(project_id)s)"
NETWORK_OWNER = "(role:member and rule:network_owner)"
OWN_SUBNET = f"(role:member and project_id:%(project_id)s) or rule:admin_only or {NETWORK_OWNER}"
ADMIN_OR_SERVICE = "rule:admin_only or rule:service_api"
SPEAKS_FOR_OWNER = "(service_roles:service and role:member and project_id:%(project_id)s)"
TRUSTED_ON_PORT = f"{ADMIN_OR_SERVICE} or {NETWORK_OWNER}"
GROUP_OWNER = "rule:admin_only or (role:{role} and rule:sg_owner)"
EVERYBODY_SEES = "rule:shared or rule:external"

_BASE = {
    "context_is_admin": "role:admin",
    "service_api": "role:service",
    "owner": "project_id:%(project_id)s",
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "context_is_advsvc": "role:advsvc",
    "admin_only": "rule:context_is_admin",
    "regular_user": "",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_or_network_owner": "rule:context_is_admin or rule:network_owner",
    "sg_owner": "project_id:%(security_group:project_id)s",
    "shared": "field:networks:shared=True",
    "external": "field:networks:router:external=True",
    "external_network": "field:subnets:router:external=True",
    "shared_security_group": "field:security_groups:shared=True",
    "network_device": "field:port:device_owner=~^network:",
    "compute_device": "field:port:device_owner=~^compute:",
    "baremetal_device": "field:port:device_owner=~^baremetal:",
    "manila_device": "field:port:device_owner=~^manila:",
    "default": "rule:admin_or_owner",
}

_NETWORK = {
    "create_network": MEMBER,
    "create_network:shared": ADMIN,
    "create_network:router:external": ADMIN,
    "create_network:port_security_enabled": MEMBER,
    "create_network:provider:network_type": ADMIN,
    "create_network:provider:physical_network": ADMIN,
    "create_network:provider:segmentation_id": ADMIN,
    "get_network": f"{READER} or rule:service_api or {EVERYBODY_SEES} or rule:context_is_advsvc",
    "get_network:provider:network_type": ADMIN,
    "get_network:provider:physical_network": ADMIN,
    "get_network:provider:segmentation_id": ADMIN,
    "update_network": MEMBER,
    "update_network:shared": ADMIN,
    "update_network:router:external": ADMIN,
    "update_network:port_security_enabled": MEMBER,
    "update_network:provider:network_type": ADMIN,
    "update_network:provider:physical_network": ADMIN,
    "update_network:provider:segmentation_id": ADMIN,
    "delete_network": MEMBER,
}

_SUBNET = {
    "create_subnet": f"rule:admin_only or {NETWORK_OWNER}",
    "get_subnet": "(role:reader and project_id:%(project_id)s) or rule:shared or rule:external_network or "
    "rule:admin_only or (role:reader and rule:network_owner) or rule:service_api",
    "update_subnet": OWN_SUBNET,
    "delete_subnet": OWN_SUBNET,
}

_OWN_PORT = "(role:member and project_id:%(project_id)s)"
_OF_USERS = "(not rule:compute_device and not rule:baremetal_device and not rule:manila_device)"
_PORT = {
    "create_port": f"{TRUSTED_ON_PORT} or rule:shared",
    "create_port:device_id": f"{MEMBER} or rule:service_api",
    "create_port:device_owner": f"not rule:network_device or {TRUSTED_ON_PORT}",
    "create_port:mac_address": TRUSTED_ON_PORT,
    "create_port:fixed_ips": f"{TRUSTED_ON_PORT} or rule:shared",
    "create_port:fixed_ips:ip_address": TRUSTED_ON_PORT,
    "create_port:fixed_ips:subnet_id": f"{TRUSTED_ON_PORT} or rule:shared",
    "create_port:port_security_enabled": TRUSTED_ON_PORT,
    "create_port:binding:host_id": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "create_port:binding:profile": f"rule:service_api or {SPEAKS_FOR_OWNER}",
    "create_port:binding:vnic_type": f"{MEMBER} or rule:service_api",
    "create_port:allowed_address_pairs": TRUSTED_ON_PORT,
    "get_port": "rule:admin_only or rule:service_api or (role:reader and rule:network_owner) or "
    "(role:reader and project_id:%(project_id)s)",
    "get_port:binding:host_id": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "get_port:binding:profile": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "get_port:binding:vif_type": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "get_port:binding:vif_details": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "update_port": f"{ADMIN_OR_SERVICE} or {_OWN_PORT}",
    "update_port:device_id": f"{MEMBER} or rule:service_api",
    "update_port:device_owner": f"not rule:network_device or {TRUSTED_ON_PORT}",
    "update_port:mac_address": f"{ADMIN_OR_SERVICE} or (role:manager and rule:network_owner)",
    "update_port:fixed_ips": TRUSTED_ON_PORT,
    "update_port:fixed_ips:ip_address": TRUSTED_ON_PORT,
    "update_port:fixed_ips:subnet_id": f"{TRUSTED_ON_PORT} or rule:shared",
    "update_port:port_security_enabled": TRUSTED_ON_PORT,
    "update_port:binding:host_id": f"{ADMIN_OR_SERVICE} or {SPEAKS_FOR_OWNER}",
    "update_port:binding:profile": f"rule:service_api or {SPEAKS_FOR_OWNER}",
    "update_port:binding:vnic_type": f"{ADMIN_OR_SERVICE} or {_OWN_PORT}",
    "update_port:allowed_address_pairs": TRUSTED_ON_PORT,
    "delete_port": f"{ADMIN_OR_SERVICE} or (service_roles:service and ({NETWORK_OWNER} or {_OWN_PORT})) or "
    f"({_OF_USERS} and ({NETWORK_OWNER} or {_OWN_PORT}))",
}

_ROUTER = {
    "create_router": MEMBER,
    "create_router:external_gateway_info": MEMBER,
    "create_router:external_gateway_info:network_id": MEMBER,
    "create_router:external_gateway_info:enable_snat": ADMIN,
    "create_router:external_gateway_info:external_fixed_ips": ADMIN,
    "get_router": READER,
    "update_router": MEMBER,
    "update_router:external_gateway_info": MEMBER,
    "update_router:external_gateway_info:network_id": MEMBER,
    "update_router:external_gateway_info:enable_snat": ADMIN,
    "update_router:external_gateway_info:external_fixed_ips": ADMIN,
    "delete_router": MEMBER,
    "add_router_interface": MEMBER,
    "remove_router_interface": MEMBER,
}

_FLOATING_IP = {
    "create_floatingip": MEMBER,
    "create_floatingip:floating_ip_address": MANAGER,
    "get_floatingip": READER,
    "update_floatingip": MEMBER,
    "delete_floatingip": MEMBER,
}

_SECURITY_GROUP = {
    "create_security_group": MEMBER,
    "get_security_group": f"{READER} or rule:shared_security_group",
    "update_security_group": MEMBER,
    "delete_security_group": MEMBER,
    "create_security_group_rule": GROUP_OWNER.format(role="member"),
    "get_security_group_rule": GROUP_OWNER.format(role="reader"),
    "delete_security_group_rule": GROUP_OWNER.format(role="member"),
}

_REST = {
    "get_agent": ADMIN,
    "update_agent": ADMIN,
    "delete_agent": ADMIN,
    "get_availability_zone": "role:reader",
    "get_quota": MANAGER,
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
}

TAGGED = ("network", "subnet", "port", "router", "floatingip", "security_group")


def _tags() -> Iterator[tuple[str, str]]:
    """Who may see or change a thing may do the same to its tags."""
    for kind in TAGGED:
        yield f"get_{kind}:tags", f"rule:get_{kind}"
        yield f"create_{kind}:tags", f"rule:create_{kind}"
        yield f"update_{kind}:tags", f"rule:update_{kind}"
        yield f"delete_{kind}:tags", f"rule:update_{kind}"


_RULES = {
    **_BASE, **_NETWORK, **_SUBNET, **_PORT, **_ROUTER, **_FLOATING_IP, **_SECURITY_GROUP, **_REST, **dict(_tags()),
}  # fmt: skip

POLICIES: tuple[RuleDefault, ...] = tuple(RuleDefault(name, check) for name, check in _RULES.items())
