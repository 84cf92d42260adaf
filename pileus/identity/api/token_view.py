"""A token as its holder, and the services that validate it, read it."""

from typing import Any

import msgspec

from pileus.identity.app.tokens import Worth
from pileus.identity.domain import moments
from pileus.identity.domain.project import Project
from pileus.identity.domain.token import SYSTEM


def render(worth: Worth, catalog: msgspec.Raw | None) -> dict[str, Any]:
    """The `token` object. Source: recorded answers of the reference implementation."""
    token, user = worth.token, worth.user
    ends = user.password_expires_at
    document: dict[str, Any] = {
        "methods": token.methods,
        "user": {
            "domain": _short(worth.user_domain),
            "id": user.id,
            "name": user.name,
            "password_expires_at": None if ends is None else moments.as_bare_text(ends),
        },
        "audit_ids": token.audit_ids,
        "expires_at": moments.as_text(token.expires_at),
        "issued_at": moments.as_text(token.issued_at),
    }
    if worth.project is not None and worth.project_domain is not None:
        document["project"] = {
            "domain": _short(worth.project_domain),
            "id": worth.project.id,
            "name": worth.project.name,
        }
        document["is_domain"] = worth.project.is_domain
    if worth.domain is not None:
        document["domain"] = _short(worth.domain)
    if token.scope == SYSTEM:
        document["system"] = {"all": True}
    if token.scope:
        document["roles"] = [{"id": role.id, "name": role.name} for role in worth.roles]
        if catalog is not None:
            document["catalog"] = catalog
    credential = worth.application_credential
    if credential is not None:
        restricted = not credential.unrestricted
        document["application_credential"] = {"id": credential.id, "name": credential.name, "restricted": restricted}
    return document


def _short(domain: Project) -> dict[str, str]:
    return {"id": domain.id, "name": domain.name}
