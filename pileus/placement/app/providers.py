"""Resource providers: create, rename, move in their tree, delete."""

from dataclasses import replace

from pileus.foundation.database import Duplicate, Transaction
from pileus.placement.domain.errors import (
    BadParent,
    ProviderExists,
    ProviderHasChildren,
    ProviderInUse,
    ProviderNotFound,
)
from pileus.placement.domain.provider import Provider, branch, check_parent
from pileus.placement.service import Placement
from pileus.placement.store import inventories, providers

TREES = "placement.trees"
"""The lock of whoever changes the shape of a tree."""


async def get(placement: Placement, uuid: str) -> Provider:
    """Raises: ProviderNotFound (404)."""
    found = await providers.find(placement.database, uuid)
    if found is None:
        raise ProviderNotFound(uuid=uuid)
    return found


async def create(placement: Placement, uuid: str, name: str, parent: str | None) -> Provider:
    """Write a new provider below `parent`, or as the top of a tree of its own.

    Raises: ProviderExists (409), BadParent (400).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> Provider:
        root = uuid
        if parent is not None:
            await tx.lock(TREES)
            above = await providers.find(tx, parent)
            if parent == uuid:
                raise BadParent(uuid=uuid, complaint="parent provider UUID cannot be same as UUID.")
            if above is None:
                raise BadParent(uuid=uuid, complaint="parent provider UUID does not exist.")
            root = above.root
        provider = Provider(uuid, name, 0, parent, root, now)
        await providers.insert(tx, provider, now)
        return provider

    try:
        return await placement.database.transact(work)
    except Duplicate as taken:
        raise await _taken(placement, uuid, name) from taken


async def change(placement: Placement, uuid: str, name: str, parent: str | None, *, may_move: bool) -> Provider:
    """Give a provider another name, and another place in the trees when `may_move` (from 1.37).

    Raises: ProviderNotFound (404), ProviderExists (409), BadParent (400).
    """
    now = placement.runtime.now()

    async def work(tx: Transaction) -> Provider:
        await tx.lock(TREES)
        found = await providers.find(tx, uuid)
        if found is None:
            raise ProviderNotFound(uuid=uuid)
        moved = await _move(tx, found, parent, may_move)
        saved = replace(moved, name=name, updated_at=now)
        if saved.name != found.name or saved.parent != found.parent:
            await providers.save(tx, saved, now)
        return saved

    try:
        return await placement.database.transact(work)
    except Duplicate as taken:
        raise await _taken(placement, uuid, name) from taken


async def rename(placement: Placement, uuid: str, name: str) -> Provider:
    """Give a provider another name. Raises: ProviderNotFound (404), ProviderExists (409)."""
    found = await get(placement, uuid)
    return await change(placement, uuid, name, found.parent, may_move=False)


async def _move(tx: Transaction, found: Provider, parent: str | None, may_move: bool) -> Provider:
    if parent == found.parent:
        return found
    above = await providers.find(tx, parent) if parent is not None else None
    parents = await providers.parents_in(tx, sorted({found.root, above.root} if above else {found.root}))
    check_parent(found, parent, parents, may_move=may_move)
    root = above.root if above is not None else found.uuid
    if root != found.root:
        await providers.set_root(tx, branch(found.uuid, parents), root)
    return replace(found, parent=parent, root=root)


async def delete(placement: Placement, uuid: str) -> None:
    """Take a provider away, with its inventories, traits and aggregates.

    Raises: ProviderNotFound (404), ProviderHasChildren, ProviderInUse (409).
    """

    async def work(tx: Transaction) -> None:
        await tx.lock(TREES)
        if await providers.has_children(tx, uuid):
            raise ProviderHasChildren(uuid=uuid)
        if not await providers.delete(tx, uuid):
            raise ProviderNotFound(uuid=uuid)
        if await inventories.drop(tx, uuid, list(await inventories.of_provider(tx, uuid))):
            raise ProviderInUse(uuid=uuid)

    await placement.database.transact(work)


async def _taken(placement: Placement, uuid: str, name: str) -> ProviderExists:
    owner = await providers.find_named(placement.database, name)
    if owner is not None and owner != uuid:
        return ProviderExists(what="name", value=name)
    return ProviderExists(what="uuid", value=uuid)
