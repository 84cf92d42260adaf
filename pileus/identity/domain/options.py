"""Options of users, projects and roles: a closed list of switches, merged on change."""

from typing import Any


def merged(old: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    """The options after a change; null takes one away."""
    if not changes:
        return old
    return {name: value for name, value in (old | changes).items() if value is not None}
