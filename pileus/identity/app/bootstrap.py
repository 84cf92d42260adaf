"""A new cloud's first rows: domain, roles, administrator, service accounts, catalog. Running it again changes nothing.

What an administrator changed since stays, the administrator's password above all; the catalog's own paths and the
service accounts' keys are brought up to date.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from pileus.foundation.database import Transaction, sql
from pileus.identity.app.change import Change, change
from pileus.identity.app.service import Identity
from pileus.identity.domain import revocation
from pileus.identity.domain.assignment import ALL, PROJECT, SYSTEM, USER, Assignment
from pileus.identity.domain.catalog import INTERFACES, Endpoint, Region, Service
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import DEFAULT_DOMAIN, Project
from pileus.identity.domain.role import ADMIN, HOST, IMPLICATIONS, MANAGER, MEMBER, READER, SERVICE, Role
from pileus.identity.domain.user import User
from pileus.identity.store import assignments, catalog, projects, roles, users

KEY_BYTES = 32
_VERSION = 1  # of what is done here: a new number runs it again on every cloud

_READ = sql("SELECT digest FROM identity_bootstrap WHERE id = 1")
_WRITE = sql(
    "INSERT INTO identity_bootstrap (id, digest) VALUES (1, :digest)"
    " ON CONFLICT (id) DO UPDATE SET digest = excluded.digest"
)


class CatalogEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A service and where it answers: a path of this cloud's address ("/compute/v2.1") or a whole URL."""

    type: str
    name: str
    url: str
    description: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the new cloud shall have. `accounts` are service users with their roles; `keys` those they have already."""

    admin_password: str
    region: str
    catalog: Sequence[CatalogEntry]
    accounts: Mapping[str, Sequence[str]]
    keys: Mapping[str, str] = {}


async def bootstrap(identity: Identity, plan: Plan) -> dict[str, str]:
    """Bring the rows to what the plan says, and return the key of each service account, for a file of mode 0600.

    Processes that start at once do it once.
    """
    keys = {name: plan.keys.get(name) or _new_key(identity) for name in plan.accounts}
    digest = _digest(plan, keys)
    row = await identity.database.one(_READ)
    if row is not None and row["digest"] == digest:
        return keys
    admin = await users.find_by_name(identity.database, ADMIN, DEFAULT_DOMAIN)
    admin_hash = await identity.passwords.hash(plan.admin_password) if admin is None else ""

    async def work(step: Change) -> None:
        row = await step.tx.one(_READ)
        if row is not None and row["digest"] == digest:
            return
        role_ids = await _ensure_roles(identity, step.tx)
        await _ensure_admin(identity, step, role_ids, admin_hash)
        await _ensure_accounts(identity, step, plan, keys, role_ids)
        await _ensure_catalog(identity, step.tx, plan)
        await step.tx.run(_WRITE, digest=digest)

    await change(identity, work)
    return keys


async def ensure_host(identity: Identity, account: str) -> str:
    """Have a hypervisor host's account, give it a new key and return that; tokens that it had are worth nothing more.

    Its roles open nothing by themselves: each service names what hosts may ask of it (`http/hosts.py`).
    """
    key = _new_key(identity)

    async def work(step: Change) -> None:
        project = await _ensure_project(identity, step.tx, SERVICE, "The cloud's own services.")
        user_id = await _ensure_user(identity, step.tx, account)
        hashed = identity.passwords.hash_key(key)
        await users.set_password(step.tx, user_id, hashed, step.now, None, 0)
        await step.revoke(revocation.of_user(user_id))
        for name in (SERVICE, HOST):
            role_id = await _ensure_role(identity, step.tx, name)
            await assignments.add(step.tx, Assignment(USER, user_id, PROJECT, project, role_id))

    await change(identity, work)
    return key


def _new_key(identity: Identity) -> str:
    return base64.urlsafe_b64encode(identity.runtime.random_bytes(KEY_BYTES)).rstrip(b"=").decode()


def _digest(plan: Plan, keys: Mapping[str, str]) -> str:
    said = msgspec.json.encode([_VERSION, plan.region, plan.catalog, plan.accounts, sorted(keys.items())])
    return hashlib.blake2b(said, digest_size=32).hexdigest()


async def _ensure_roles(identity: Identity, tx: Transaction) -> dict[str, str]:
    """The ids of the first roles by name; they are immutable, as everywhere."""
    found: dict[str, str] = {}
    for name in (ADMIN, MANAGER, MEMBER, READER, SERVICE):
        found[name] = await _ensure_role(identity, tx, name)
    for prior, implied in IMPLICATIONS:
        await roles.imply(tx, found[prior], found[implied])
    return found


async def _ensure_role(identity: Identity, tx: Transaction, name: str) -> str:
    role = await roles.find_by_name(tx, name)
    if role is None:
        role = Role(id=identity.runtime.hex_id(), name=name, options={"immutable": True})
        await roles.insert(tx, role)
    return role.id


async def _ensure_admin(identity: Identity, step: Change, role_ids: Mapping[str, str], hashed: str) -> None:
    tx = step.tx
    if await projects.find_untagged(tx, DEFAULT_DOMAIN) is None:
        await projects.insert(tx, _domain())
    project = await _ensure_project(identity, tx, ADMIN, "Bootstrap project for initializing the cloud.")
    is_new = await users.find_by_name(tx, ADMIN, DEFAULT_DOMAIN) is None
    admin = await _ensure_user(identity, tx, ADMIN)
    if is_new and hashed:
        await users.set_password(tx, admin, hashed, step.now, None, identity.settings.passwords.unique_count)
    for kind, target_id in ((PROJECT, project), (SYSTEM, ALL)):
        await assignments.add(tx, Assignment(USER, admin, kind, target_id, role_ids[ADMIN]))


def _domain() -> Project:
    return Project(
        id=DEFAULT_DOMAIN,
        name="Default",
        domain_id=None,
        parent_id=None,
        is_domain=True,
        description="The default domain",
    )


async def _ensure_project(identity: Identity, tx: Transaction, name: str, description: str) -> str:
    project = await projects.find_by_name(tx, name, DEFAULT_DOMAIN)
    if project is None:
        project = Project(
            id=identity.runtime.hex_id(),
            name=name,
            domain_id=DEFAULT_DOMAIN,
            parent_id=DEFAULT_DOMAIN,
            description=description,
        )
        await projects.insert(tx, project)
    return project.id


async def _ensure_user(identity: Identity, tx: Transaction, name: str) -> str:
    user = await users.find_by_name(tx, name, DEFAULT_DOMAIN)
    if user is None:
        user = User(id=identity.runtime.hex_id(), name=name, domain_id=DEFAULT_DOMAIN)
        await users.insert(tx, user)
    return user.id


async def _ensure_accounts(
    identity: Identity, step: Change, plan: Plan, keys: Mapping[str, str], role_ids: Mapping[str, str]
) -> None:
    tx = step.tx
    project = await _ensure_project(identity, tx, SERVICE, "The cloud's own services.")
    for name, role_names in plan.accounts.items():
        user_id = await _ensure_user(identity, tx, name)
        who = await users.find_credentials(tx, user_id)
        if who is None or not identity.passwords.is_key(who.password_hash, keys[name]):
            hashed = identity.passwords.hash_key(keys[name])
            await users.set_password(tx, user_id, hashed, step.now, None, 0)
        for role_name in role_names:
            await assignments.add(tx, Assignment(USER, user_id, PROJECT, project, role_ids[role_name]))


async def _ensure_catalog(identity: Identity, tx: Transaction, plan: Plan) -> None:
    if await catalog.find_region(tx, plan.region) is None:
        await catalog.put_region(tx, Region(id=plan.region))
    for entry in plan.catalog:
        service = await _ensure_service(identity, tx, entry)
        there = await catalog.endpoints(tx, [Condition("service_id", service.id), Condition("region_id", plan.region)])
        by_interface = {each.interface: each for each in there}
        for interface in INTERFACES:
            endpoint = by_interface.get(interface) or Endpoint(
                id=identity.runtime.hex_id(),
                interface=interface,
                service_id=service.id,
                region_id=plan.region,
                url="",
            )
            if not endpoint.url or endpoint.url.startswith("/"):  # an administrator's own URL stays
                await catalog.put_endpoint(tx, msgspec.structs.replace(endpoint, url=entry.url))


async def _ensure_service(identity: Identity, tx: Transaction, entry: CatalogEntry) -> Service:
    for service in await catalog.services(tx, [Condition("type", entry.type)]):
        return service
    service = Service(
        id=identity.runtime.hex_id(), type=entry.type, name=entry.name, description=entry.description or None
    )
    await catalog.put_service(tx, service)
    return service
