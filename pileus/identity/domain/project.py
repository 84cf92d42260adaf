"""Projects and domains. A domain is a project that acts as one: same table, same rules of names."""

from typing import Any

import msgspec

DEFAULT_DOMAIN = "default"


class Project(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A project, or a domain when `is_domain` (then it has neither domain nor parent)."""

    id: str
    name: str
    domain_id: str | None
    parent_id: str | None
    is_domain: bool = False
    description: str | None = ""
    enabled: bool = True
    options: dict[str, Any] = {}
    extra: dict[str, Any] = {}  # attributes of the client's own
    tags: tuple[str, ...] = ()

    @property
    def is_immutable(self) -> bool:
        return self.options.get("immutable") is True


def name_key(name: str) -> str:
    """What two names must not share: they differ by more than case."""
    return name.casefold()
