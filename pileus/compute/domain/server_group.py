"""Server groups: servers that want to be together, or apart."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from pileus.compute.domain.candidate import Policy
from pileus.foundation.errors import BadRequest

HARD = frozenset({Policy.AFFINITY, Policy.ANTI_AFFINITY})


class ServerGroup(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group and its rule. Who its members are is asked of the servers, never stored here."""

    id: str
    name: str
    project_id: str
    user_id: str
    policy: Policy
    max_server_per_host: int | None = None  # anti-affinity only
    created_at: int = 0

    @property
    def rules(self) -> dict[str, int]:
        """As the API shows them from 2.64."""
        return {} if self.max_server_per_host is None else {"max_server_per_host": self.max_server_per_host}

    @property
    def max_per_host(self) -> int:
        return self.max_server_per_host or 1


def read_policy(policy: str, rules: Mapping[str, Any] | None = None) -> tuple[Policy, int | None]:
    """Return the policy of a request and its max_server_per_host. Raises: BadRequest (400)."""
    try:
        known = Policy(policy)
    except ValueError as wrong:
        raise BadRequest(f"Invalid input: '{policy}' is not a server group policy") from wrong
    if not rules:
        return known, None
    if known is not Policy.ANTI_AFFINITY:
        raise BadRequest("Only anti-affinity policy supports rules.")
    most = rules.get("max_server_per_host")
    if most is None:
        return known, None
    number = int(most)
    if number < 1:
        raise BadRequest(f"Invalid input: max_server_per_host {most} is less than 1")
    return known, number


def read_policies(policies: Sequence[str]) -> Policy:
    """Return the policy of a request before 2.64, which brings a list of exactly one. Raises: BadRequest (400)."""
    if len(policies) != 1:
        raise BadRequest(f"Invalid input for field/attribute policies. Value: {list(policies)}. Exactly one is needed")
    return read_policy(policies[0])[0]


def may_join(group: ServerGroup, group_hosts: Mapping[str, int], host: str) -> bool:
    """Whether one more member may live on `host`, its other members being on `group_hosts`.

    Asked again in the transaction that writes the host into a server's row: the ranking's snapshot may be old.
    """
    if group.policy is Policy.AFFINITY:
        return not group_hosts or host in group_hosts
    if group.policy is Policy.ANTI_AFFINITY:
        return group_hosts.get(host, 0) < group.max_per_host
    return True
