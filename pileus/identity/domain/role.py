"""Roles, and which role brings which others with it."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

ADMIN, MANAGER, MEMBER, READER, SERVICE = "admin", "manager", "member", "reader", "service"
HOST = "host"
"""Of hypervisor hosts' accounts, beside `service`: narrows, wherever it is shown, to what concerns that host."""

IMPLICATIONS = ((ADMIN, MANAGER), (MANAGER, MEMBER), (MEMBER, READER))
"""What a new cloud starts with. `service` stands apart: it implies nothing and nothing implies it."""


class Role(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A role; with `domain_id` it belongs to one domain and never shows in a token, only what it implies."""

    id: str
    name: str
    domain_id: str | None = None
    description: str | None = None
    options: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    @property
    def is_immutable(self) -> bool:
        return self.options.get("immutable") is True


class RoleBook:
    """All roles and implications as of one epoch: answers without asking the database."""

    __slots__ = ("_closures", "implied", "roles")

    def __init__(self, roles: Iterable[Role], implied: Mapping[str, frozenset[str]]):
        self.roles = {role.id: role for role in roles}
        self.implied = implied
        self._closures: dict[str, tuple[str, ...]] = {}

    def closure(self, role_id: str) -> tuple[str, ...]:
        """The role and everything it implies, directly or not, the role itself first."""
        found = self._closures.get(role_id)
        if found is None:
            seen = {role_id: None}
            todo = [role_id]
            while todo:
                for implied in sorted(self.implied.get(todo.pop(), ())):
                    if implied not in seen:
                        seen[implied] = None
                        todo.append(implied)
            found = self._closures[role_id] = tuple(seen)
        return found

    def effective(self, role_ids: Iterable[str]) -> list[Role]:
        """The global roles that assignments of `role_ids` amount to, ordered by id."""
        reached = {implied for role_id in role_ids for implied in self.closure(role_id)}
        found = [self.roles[role_id] for role_id in sorted(reached) if role_id in self.roles]
        return [role for role in found if role.domain_id is None]
