"""Users and their passwords."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.identity.app.change import Change, change, write
from pileus.identity.app.login import check_password
from pileus.identity.app.projects import drop_user
from pileus.identity.app.service import Identity
from pileus.identity.domain import password_rules, revocation
from pileus.identity.domain.errors import DefaultProjectIsDomain, Missing, NotUnique, PasswordLocked, Taken
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.login import UserRef
from pileus.identity.domain.options import merged
from pileus.identity.domain.user import User
from pileus.identity.store import projects, users


async def get_user(identity: Identity, id: str) -> User:
    """Raises: Missing (404)."""
    found = await users.find(identity.database, id)
    if found is None:
        raise Missing(what="user", id=id)
    return found


async def list_users(identity: Identity, conditions: Sequence[Condition], most: int | None = None) -> list[User]:
    return await users.listed(identity.database, conditions, most)


async def create_user(identity: Identity, user: User, password: str | None) -> User:
    """Make a user; without a password there is no login by one. The id is chosen here.

    Raises: Missing (404) for the domain, DefaultProjectIsDomain, PasswordRule (400), Taken (409).
    """
    rules = identity.settings.passwords
    now = identity.runtime.now()
    expires_at = password_rules.expires_at(rules, user.options, now) if password is not None else None
    made = msgspec.structs.replace(user, id=identity.runtime.hex_id(), password_expires_at=expires_at)
    await _check_default_project(identity, made.default_project_id)
    hashed = await _hash(identity, password)

    async def work(tx: Transaction) -> None:
        domain = await projects.find_untagged(tx, made.domain_id)
        if domain is None or not domain.is_domain:
            raise Missing(what="domain", id=made.domain_id)
        await users.insert(tx, made)
        if hashed:
            await users.set_password(tx, made.id, hashed, now, expires_at, rules.unique_count)

    try:
        await write(identity, work)
    except Duplicate as error:
        raise _taken(made) from error
    return made


def _taken(user: User) -> Taken:
    return Taken(what="user", detail=f"Duplicate entry found with name {user.name} at domain ID {user.domain_id}")


async def _check_default_project(identity: Identity, id: str | None) -> None:
    found = await projects.find_untagged(identity.database, id) if id else None
    if found is not None and found.is_domain:
        raise DefaultProjectIsDomain(id=id)


async def _hash(identity: Identity, password: str | None) -> str:
    if password is None:
        return ""
    password_rules.check_new(password, identity.settings.passwords)
    return await identity.passwords.hash(password)


async def update_user(identity: Identity, id: str, changes: dict[str, Any], password: str | None = None) -> User:
    """Change a user as an administrator does; a new password or `enabled` false ends all tokens of the user.

    Raises: Missing (404), DefaultProjectIsDomain, PasswordRule (400), Taken (409).
    """
    await _check_default_project(identity, changes.get("default_project_id"))
    hashed = await _hash(identity, password)
    rules = identity.settings.passwords
    updated: list[User] = []

    async def work(step: Change) -> None:
        old = await users.find(step.tx, id)
        if old is None:
            raise Missing(what="user", id=id)
        new = _changed(old, changes)
        if hashed:
            ends = password_rules.expires_at(rules, new.options, step.now)
            new = msgspec.structs.replace(new, password_expires_at=ends)
            await users.set_password(step.tx, id, hashed, step.now, ends, rules.unique_count)
        updated[:] = [new]
        await users.update(step.tx, new)
        if hashed or (old.enabled and not new.enabled):
            await step.revoke(revocation.of_user(id))

    try:
        await change(identity, work)
    except Duplicate as error:
        raise _taken(updated[0]) from error
    return updated[0]


def _changed(old: User, changes: dict[str, Any]) -> User:
    changes = dict(changes)
    changes["options"] = merged(old.options, changes.get("options"))
    changes["extra"] = old.extra | changes.get("extra", {})
    return msgspec.structs.replace(old, **changes)


async def delete_user(identity: Identity, id: str) -> None:
    """Delete a user with roles, memberships and application credentials; the tokens end with it.

    Raises: Missing (404).
    """

    async def work(step: Change) -> None:
        if await users.find(step.tx, id) is None:
            raise Missing(what="user", id=id)
        await drop_user(step.tx, id)

    await change(identity, work)


async def change_password(identity: Identity, id: str, original: str, password: str) -> None:
    """Change one's own password, knowing the current one; an expired one will do. All tokens of the user end.

    Raises: LoginRefused (401), PasswordLocked, PasswordRule, NotUnique (400).
    """
    await check_password(identity, UserRef(id=id), original, even_expired=True)
    rules = identity.settings.passwords
    who = await users.find_credentials(identity.database, id)
    if who is None:
        raise Missing(what="user", id=id)
    if who.options.get("lock_password") is True:
        raise PasswordLocked()
    password_rules.check_new(password, rules)
    password_rules.check_age(who, rules, identity.runtime.now())
    await _check_unique(identity, id, who.password_hash, password)
    hashed = await identity.passwords.hash(password)

    async def work(step: Change) -> None:
        ends = password_rules.expires_at(rules, who.options, step.now)
        await users.set_password(step.tx, id, hashed, step.now, ends, rules.unique_count)
        await step.revoke(revocation.of_user(id))

    await change(identity, work)


async def _check_unique(identity: Identity, id: str, current: str, password: str) -> None:
    count = identity.settings.passwords.unique_count
    if not count:
        return
    previous = await users.previous_hashes(identity.database, id, count)
    if current not in previous:
        previous = [current, *previous][:count]
    if await identity.passwords.is_any(previous, password):
        raise NotUnique(count=count)
