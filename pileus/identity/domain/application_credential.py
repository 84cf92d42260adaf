"""Application credentials: a secret of its own for one user in one project, with no more than chosen roles."""

import msgspec


class AccessRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One kind of request that an application credential may be limited to."""

    id: str
    user_id: str
    service: str
    method: str
    path: str


class ApplicationCredential(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`role_ids` are fixed when it is made; it is worth nothing once the user lacks one of them there."""

    id: str
    user_id: str
    name: str
    project_id: str
    description: str | None = None
    expires_at: int | None = None  # UTC microseconds
    unrestricted: bool = False
    role_ids: tuple[str, ...] = ()
    access_rule_ids: tuple[str, ...] | None = None  # None: not limited to any
