"""Application credentials: made by their user with a project's token, worth the roles chosen then."""

import base64
from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.identity.app.change import Change, change, write
from pileus.identity.app.service import Identity
from pileus.identity.domain.application_credential import AccessRule, ApplicationCredential
from pileus.identity.domain.errors import InUseByCredential, Missing, NotSelf, PasswordRule, RolesNotHeld, Taken
from pileus.identity.domain.passwords import LONGEST
from pileus.identity.store import application_credentials, credentials

SECRET_BYTES = 64


class RuleWish(msgspec.Struct, frozen=True, gc=False):
    """An access rule by id, or a new one."""

    id: str = ""
    service: str = ""
    method: str = ""
    path: str = ""


async def refuse_restricted(identity: Identity, token: str) -> None:
    """A restricted application credential neither makes nor deletes credentials.

    Raises: NotSelf (403).
    """
    worth, _, _ = await identity.tokens.look_up(token)
    credential = worth.application_credential
    if credential is not None and not credential.unrestricted:
        raise NotSelf()


async def create(
    identity: Identity,
    credential: ApplicationCredential,
    held: frozenset[str],
    *,
    secret: str | None,
    rules: Sequence[RuleWish] | None,
) -> tuple[ApplicationCredential, str]:
    """Make a credential and return it with its secret, which is never shown again. No role beyond those `held`.

    Raises: RolesNotHeld (400), Missing (404) for an access rule, Taken (409).
    """
    for role_id in credential.role_ids:
        if role_id not in held:
            raise RolesNotHeld(role_id=role_id)
    known = secret if secret is not None else _generated(identity)
    if len(known) > LONGEST:
        raise PasswordRule(detail=f"at most {LONGEST} characters")
    hashed = await identity.passwords.hash(known) if secret is not None else identity.passwords.hash_key(known)
    made = msgspec.structs.replace(credential, id=identity.runtime.hex_id())

    async def work(tx: Transaction) -> ApplicationCredential:
        ids = None if rules is None else tuple([await _rule_id(identity, tx, made.user_id, rule) for rule in rules])
        whole = msgspec.structs.replace(made, access_rule_ids=ids)
        await application_credentials.insert(tx, whole, hashed)
        return whole

    try:
        return await write(identity, work), known
    except Duplicate as error:
        detail = f"Duplicate entry found with name {credential.name}"
        raise Taken(what="application_credential", detail=detail) from error


def _generated(identity: Identity) -> str:
    return base64.urlsafe_b64encode(identity.runtime.random_bytes(SECRET_BYTES)).rstrip(b"=").decode()


async def _rule_id(identity: Identity, tx: Transaction, user_id: str, wish: RuleWish) -> str:
    if wish.id:
        if await application_credentials.find_rule(tx, user_id, wish.id) is None:
            raise Missing(what="access rule", id=wish.id)
        return wish.id
    for rule in await application_credentials.rules_of(tx, user_id):
        if (rule.service, rule.method, rule.path) == (wish.service, wish.method, wish.path):
            return rule.id
    rule = AccessRule(
        id=identity.runtime.hex_id(), user_id=user_id, service=wish.service, method=wish.method, path=wish.path
    )
    await application_credentials.add_rule(tx, rule)
    return rule.id


async def get(identity: Identity, user_id: str, id: str) -> ApplicationCredential:
    """The user's own credential. Raises: Missing (404), also for another user's."""
    found = await application_credentials.find(identity.database, id)
    if found is None or found.user_id != user_id:
        raise Missing(what="application credential", id=id)
    return found


async def list_of(identity: Identity, user_id: str) -> list[ApplicationCredential]:
    return await application_credentials.of_user(identity.database, user_id)


async def delete(identity: Identity, user_id: str, id: str) -> None:
    """Delete a credential; its tokens end. Raises: Missing (404)."""
    await get(identity, user_id, id)

    async def work(step: Change) -> None:
        await application_credentials.delete(step.tx, id)
        await credentials.drop_children(step.tx, id)

    await change(identity, work)


async def rules_by_id(identity: Identity, user_id: str) -> dict[str, AccessRule]:
    return {rule.id: rule for rule in await application_credentials.rules_of(identity.database, user_id)}


async def get_rule(identity: Identity, user_id: str, id: str) -> AccessRule:
    """Raises: Missing (404)."""
    found = await application_credentials.find_rule(identity.database, user_id, id)
    if found is None:
        raise Missing(what="access rule", id=id)
    return found


async def delete_rule(identity: Identity, user_id: str, id: str) -> None:
    """Raises: Missing (404), InUseByCredential (403)."""
    await get_rule(identity, user_id, id)

    async def work(tx: Transaction) -> None:
        for credential in await application_credentials.of_user(tx, user_id):
            if id in (credential.access_rule_ids or ()):
                raise InUseByCredential(id=id)
        await application_credentials.drop_rule(tx, id)

    await write(identity, work)
