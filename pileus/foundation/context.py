"""Who asks, with which rights, for which request: made once at the door, passed on explicitly."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pileus.foundation.trace import Trace

HOST_ROLE = "host"
HOST_ACCOUNT = "host."
"""What the name of a host's account begins with; the host's own name follows."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What identity said of a token (and of the service token beside it). Cached and shared; never changed.

    At most one of `project_id`, `domain_id`, `is_system` tells the scope; none means an unscoped token.
    `roles` holds the effective roles, implied ones included (admin > manager > member > reader).
    """

    user_id: str = ""
    user_name: str = ""
    user_domain_id: str = ""
    user_domain_name: str = ""
    project_id: str = ""
    project_name: str = ""
    project_domain_id: str = ""
    project_domain_name: str = ""
    domain_id: str = ""
    domain_name: str = ""
    is_system: bool = False
    roles: frozenset[str] = frozenset()
    role_names: tuple[str, ...] = ()  # as identity listed them
    token: str = ""
    token_expires_at: int = 0  # UTC microseconds
    audit_id: str = ""
    trust_id: str = ""
    application_credential_id: str = ""
    service_user_id: str = ""  # of the service token beside the user's, if there was a valid one
    service_user_name: str = ""
    service_roles: frozenset[str] = frozenset()
    host: str = field(init=False, compare=False)  # the hypervisor host whose account asks, or stands beside the user's
    is_host: bool = field(init=False, compare=False)  # whether it asks with its own token
    credentials: Mapping[str, Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_host", HOST_ROLE in self.roles)
        account = self.user_name if self.is_host else self.service_user_name if HOST_ROLE in self.service_roles else ""
        object.__setattr__(self, "host", account.removeprefix(HOST_ACCOUNT))
        object.__setattr__(
            self,
            "credentials",
            {
                "user_id": self.user_id,
                "project_id": self.project_id or None,
                "tenant_id": self.project_id or None,
                "domain_id": self.domain_id or None,
                "user_domain_id": self.user_domain_id,
                "project_domain_id": self.project_domain_id or None,
                "system_scope": "all" if self.is_system else None,
                "system": "all" if self.is_system else None,
                "roles": sorted(self.roles),
                "service_roles": sorted(self.service_roles),
                "service_user_id": self.service_user_id or None,
                "is_admin": "admin" in self.roles,
                "trust_id": self.trust_id or None,
            },
        )

    def with_role(self, role: str) -> "Caller":
        """The same caller with one more role."""
        return replace(self, roles=self.roles | {role})


NOBODY = Caller()


class Context:
    """One request: its id, its caller, and what has happened for it so far."""

    __slots__ = ("caller", "global_request_id", "request_id", "started", "trace")

    def __init__(
        self, request_id: str, caller: Caller = NOBODY, trace: Trace | None = None, global_request_id: str = ""
    ):
        self.request_id = request_id  # "req-<uuid>"
        self.caller = caller
        self.trace = trace if trace is not None else Trace()
        self.global_request_id = global_request_id
        self.started = 0  # UTC microseconds when the request came in

    @property
    def user_id(self) -> str:
        return self.caller.user_id

    @property
    def project_id(self) -> str:
        return self.caller.project_id

    @property
    def domain_id(self) -> str:
        return self.caller.domain_id

    @property
    def roles(self) -> frozenset[str]:
        return self.caller.roles

    @property
    def token(self) -> str:
        return self.caller.token

    @property
    def is_admin(self) -> bool:
        return "admin" in self.caller.roles

    @property
    def is_service(self) -> bool:
        """Whether another part of the cloud speaks: by its own token, or by a service token beside a user's."""
        return "service" in self.caller.roles or "service" in self.caller.service_roles

    def credentials(self) -> Mapping[str, Any]:
        """The caller as policy rules see it (oslo.policy names)."""
        return self.caller.credentials
