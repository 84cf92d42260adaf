"""Logging in: proofs are checked, a scope is chosen, a token is issued.

Whatever goes wrong, the caller hears the same refusal after the same time: unknown, disabled, locked and wrong look
alike. The log of the process tells the operator more.
"""

import logging
from collections.abc import Awaitable

import msgspec

from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.identity.app.service import Identity
from pileus.identity.app.tokens import Worth
from pileus.identity.domain import password_rules
from pileus.identity.domain.application_credential import ApplicationCredential
from pileus.identity.domain.assignment import ALL
from pileus.identity.domain.errors import LoginRefused, UnknownToken
from pileus.identity.domain.login import (
    METHOD_OF,
    DomainRef,
    LoginRequest,
    PasswordProof,
    Proof,
    ScopeRef,
    SecretProof,
    TokenProof,
    UserRef,
)  # fmt: skip
from pileus.identity.domain.token import DOMAIN, METHODS, PROJECT, SYSTEM, UNSCOPED, Token
from pileus.identity.domain.user import Credentials
from pileus.identity.store import application_credentials, projects, users

log = logging.getLogger("pileus.identity")


class _Proven(msgspec.Struct, frozen=True, gc=False):
    """Who it is, and what else the proof brought along."""

    user_id: str
    parent: Token | None = None
    credential: ApplicationCredential | None = None


class Issued(msgspec.Struct, frozen=True, gc=False):
    text: str
    worth: Worth
    epoch: int


async def log_in(identity: Identity, request: LoginRequest, context: Context) -> Issued:
    """Issue a token for whoever the proofs prove, where they asked for.

    Raises: LoginRefused (401), UnknownToken (404) for a token that proves nothing, TooManyLogins (503).
    """
    epoch = await identity.tokens.current_epoch()
    proven = await _prove_all(identity, request.proofs)
    kind, scope_id = await _scope(identity, proven, request.scope)
    try:
        worth = await _appraise(identity, request, proven, kind, scope_id, epoch)
    except UnknownToken as error:
        raise _refused("no rights in the scope, or disabled", proven.user_id) from error
    text = identity.tokens.issue(worth, epoch, context.request_id, context.started)
    return Issued(text, worth, epoch)


async def _appraise(
    identity: Identity, request: LoginRequest, proven: _Proven, kind: str, scope_id: str, epoch: int
) -> Worth:
    used = {METHOD_OF[type(proof)] for proof in request.proofs}
    if proven.parent is not None:
        used |= set(proven.parent.methods)
    token = identity.tokens.draft(
        proven.user_id,
        tuple(method for method in METHODS if method in used),
        epoch,
        scope=kind,
        scope_id=scope_id,
        parent=proven.parent,
        credential=proven.credential,
    )
    try:
        return await identity.tokens.appraise(token)
    except UnknownToken:
        if request.scope is not None or not kind or proven.credential is not None:
            raise
    # A default project that does not work out leaves an unscoped token.
    unscoped = msgspec.structs.replace(token, scope=UNSCOPED, scope_id="")
    return await identity.tokens.appraise(unscoped)


def _refused(why: str, user_id: str = "") -> LoginRefused:
    log.info("login refused: %s", why, extra={"user_id": user_id})
    return LoginRefused()


# -- proofs -------------------------------------------------------------------------------------------------
async def _prove_all(identity: Identity, proofs: tuple[Proof, ...]) -> _Proven:
    """All proofs must be good, and of the same user."""
    found: _Proven | None = None
    for proof in proofs:
        proven = await _prove(identity, proof)
        if found is not None and found.user_id != proven.user_id:
            raise _refused("the methods name different users")
        if found is not None:
            proven = _Proven(proven.user_id, proven.parent or found.parent, proven.credential or found.credential)
        found = proven
    if found is None:
        raise _refused("no method was given")
    return found


def _prove(identity: Identity, proof: Proof) -> Awaitable[_Proven]:
    if isinstance(proof, PasswordProof):
        return _prove_password(identity, proof)
    if isinstance(proof, SecretProof):
        return _prove_secret(identity, proof)
    return _prove_token(identity, proof)


async def _prove_password(identity: Identity, proof: PasswordProof) -> _Proven:
    user_id = await check_password(identity, proof.user, proof.password)
    return _Proven(user_id)


async def check_password(identity: Identity, user: UserRef, password: str, *, even_expired: bool = False) -> str:
    """The id of the user whose password this is; an expired one is good only for changing it.

    Raises: LoginRefused (401), TooManyLogins (503).
    """
    who = await _find_credentials(identity, user)
    rules = identity.settings.passwords
    now = identity.runtime.now()
    is_usable = who is not None and who.is_enabled and not password_rules.is_locked(who, rules, now)
    is_right = await identity.passwords.verify(who.password_hash if who is not None and is_usable else "", password)
    if who is None or not is_usable:
        await _note_failure(identity, "", now)
        raise _refused("unknown, disabled or locked user", who.user_id if who else "")
    if not is_right:
        await _note_failure(identity, who.user_id, now)
        raise _refused("wrong password", who.user_id)
    if password_rules.has_expired(who, now) and not even_expired:
        raise _refused("the password has expired", who.user_id)
    await _note_success(identity, who, password, now)
    return who.user_id


async def _find_credentials(identity: Identity, user: UserRef) -> Credentials | None:
    if user.id:
        return await users.find_credentials(identity.database, user.id)
    domain_id = await _domain_id(identity, user.domain)
    if domain_id is None:
        return None
    return await users.find_credentials_by_name(identity.database, user.name, domain_id)


async def _domain_id(identity: Identity, domain: DomainRef) -> str | None:
    if domain.id:
        return domain.id
    found = await projects.find_by_name(identity.database, domain.name, "")
    return found.id if found is not None else None


async def _note_failure(identity: Identity, user_id: str, now: int) -> None:
    """Count a wrong password. For nobody (an empty id) the same work is done, and changes nothing."""
    rules = identity.settings.passwords
    if not rules.lockout_attempts:
        return

    async def work(tx: Transaction) -> None:
        await tx.lock("identity-failures", user_id)  # guesses at once are as many guesses
        latest = await users.find_credentials(tx, user_id)
        count = password_rules.failures_after(latest, rules, now) if latest is not None else 0
        await users.note_failures(tx, user_id, count, now)

    await identity.database.transact(work)


async def _note_success(identity: Identity, who: Credentials, password: str, now: int) -> None:
    """Forget failures; hash an imported password anew while it is known."""
    fresh = await identity.passwords.hash(password) if identity.passwords.is_outdated(who.password_hash) else ""
    if not fresh and not who.failed_logins:
        return

    async def work(tx: Transaction) -> None:
        await users.forget_failures(tx, who.user_id, who.password_hash)
        if fresh:
            await users.replace_hash(tx, who.user_id, who.password_hash, fresh)

    await identity.database.transact(work)


async def _prove_token(identity: Identity, proof: TokenProof) -> _Proven:
    worth, _, _ = await identity.tokens.look_up(proof.text)
    return _Proven(worth.user.id, worth.token, worth.application_credential)


async def _prove_secret(identity: Identity, proof: SecretProof) -> _Proven:
    credential = await _find_application_credential(identity, proof)
    stored = await application_credentials.secret_hash(identity.database, credential.id) if credential else ""
    is_right = await identity.passwords.verify(stored, proof.secret)
    if credential is None or not is_right:
        raise _refused("unknown application credential or wrong secret")
    if credential.expires_at is not None and credential.expires_at <= identity.runtime.now():
        raise _refused("the application credential has expired", credential.user_id)
    return _Proven(credential.user_id, credential=credential)


async def _find_application_credential(identity: Identity, proof: SecretProof) -> ApplicationCredential | None:
    if proof.id:
        return await application_credentials.find(identity.database, proof.id)
    who = await _find_credentials(identity, proof.user)
    if who is None:
        return None
    return await application_credentials.find_by_name(identity.database, who.user_id, proof.name)


# -- scope --------------------------------------------------------------------------------------------------
async def _scope(identity: Identity, proven: _Proven, asked: ScopeRef | None) -> tuple[str, str]:
    """Kind and id of the scope. What derives from an application credential stays in that one's project."""
    if proven.credential is not None:
        own = (PROJECT, proven.credential.project_id)
        if asked is not None and await _resolve(identity, asked) != own:
            raise _refused("an application credential cannot choose its scope", proven.user_id)
        return own
    if asked is None:
        user = await users.find(identity.database, proven.user_id)
        return (PROJECT, user.default_project_id) if user and user.default_project_id else (UNSCOPED, "")
    return await _resolve(identity, asked)


async def _resolve(identity: Identity, asked: ScopeRef) -> tuple[str, str]:
    if asked.kind == UNSCOPED:
        return UNSCOPED, ""
    if asked.kind == SYSTEM:
        return SYSTEM, ALL
    if asked.id:
        return asked.kind, asked.id
    if asked.kind == DOMAIN:
        domain_id: str | None = ""
    else:
        domain_id = await _domain_id(identity, asked.domain)
    found = None
    if domain_id is not None:
        found = await projects.find_by_name(identity.database, asked.name, domain_id)
    if found is None:
        raise _refused("unknown scope")
    return asked.kind, found.id
