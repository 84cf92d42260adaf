"""How much of each resource a project may have. Usage is counted, never stored."""

from collections.abc import Mapping

from pileus.network.domain.errors import OverQuota

UNLIMITED = -1

DEFAULTS: Mapping[str, int] = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router_route": 30,
    "router": 10,
    "floatingip": 50,
    "rbac_policy": 10,
    "security_group": 10,
    "security_group_rule": 100,
}
"""Source: Networking API reference, "List default quotas for a project"."""

COUNTED = ("network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule")


def check(resource: str, limit: int, used: int, wanted: int) -> None:
    """Refuse what goes beyond the limit. Raises: OverQuota (409)."""
    if limit != UNLIMITED and used + wanted > limit:
        raise OverQuota(resources=[resource])
