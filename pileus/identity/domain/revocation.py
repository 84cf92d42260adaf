"""What was revoked, as one word per subject: a token is refused when a subject of its own was revoked after it."""

from pileus.identity.domain.token import DOMAIN, PROJECT, SYSTEM, Token

EVERYTHING = "everything"


def of_audit(audit_id: str) -> str:
    """One token, by a logout."""
    return f"audit:{audit_id}"


def of_user(user_id: str) -> str:
    """All tokens of a user: password changed, user disabled."""
    return f"user:{user_id}"


def of_target(kind: str, target_id: str) -> str:
    """All tokens for a project, a domain or the system."""
    return f"{kind}:{target_id}"


def of_grant(user_id: str, kind: str, target_id: str) -> str:
    """All tokens of a user for one target: a role was taken away."""
    return f"grant:{user_id}:{kind}:{target_id}"


def subjects(token: Token, user_domain_id: str, project_domain_id: str) -> list[str]:
    """What the token stands or falls with, its own logout excepted (`of_audit`)."""
    found = [EVERYTHING, of_user(token.user_id), of_target(DOMAIN, user_domain_id)]
    if token.scope:
        found.append(of_grant(token.user_id, token.scope, token.scope_id))
    if token.scope == PROJECT:
        found += [of_target(PROJECT, token.scope_id), of_target(DOMAIN, project_domain_id)]
    elif token.scope == DOMAIN:
        found.append(of_target(DOMAIN, token.scope_id))
    elif token.scope == SYSTEM:
        found.append(of_target(SYSTEM, token.scope_id))
    return found
