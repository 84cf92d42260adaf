"""Users, groups and what a login needs to know of them."""

from typing import Any

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    name: str
    domain_id: str
    enabled: bool = True
    default_project_id: str | None = None
    options: dict[str, Any] = {}
    extra: dict[str, Any] = {}  # attributes of the client's own: description, email ...
    password_expires_at: int | None = None  # UTC microseconds


class Credentials(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a password login is judged by; never leaves identity."""

    user_id: str
    password_hash: str  # empty: this user has no password
    password_set_at: int  # UTC microseconds
    password_expires_at: int | None
    failed_logins: int
    last_failed_at: int
    options: dict[str, Any]
    is_enabled: bool  # the user and the user's domain


class Group(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    name: str
    domain_id: str
    description: str = ""
    extra: dict[str, Any] = {}
