"""Volume types: what kinds of volumes there are, who may use them."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from pileus.foundation.context import Context
from pileus.foundation.database import Duplicate, Transaction
from pileus.volume.domain.errors import ExtraSpecNotFound, InvalidType, TypeExists, TypeNameNotFound, TypeNotFound
from pileus.volume.domain.volume_type import DEFAULT_TYPE_ID, VolumeType
from pileus.volume.service import VolumeService
from pileus.volume.store import types, volumes


async def _may_use(service: VolumeService, context: Context, kind: VolumeType) -> bool:
    if kind.is_public or context.is_admin or "service" in context.roles:
        return True
    return await types.has_access(service.database, kind.id, context.project_id)


async def for_new_volume(service: VolumeService, context: Context, name_or_id: str | None) -> VolumeType:
    """The type that a new volume asks for by name or id; the default one when it names none.

    Raises: TypeNotFound, TypeNameNotFound (404).
    """
    wanted = name_or_id or DEFAULT_TYPE_ID
    kind = await types.find(service.database, wanted) or await types.find_by_name(service.database, wanted)
    if kind is None or not await _may_use(service, context, kind):
        raise TypeNameNotFound(name=wanted) if name_or_id else TypeNotFound(type_id=wanted)
    return kind


async def get(service: VolumeService, context: Context, type_id: str) -> VolumeType:
    """Raises: TypeNotFound (404)."""
    kind = await types.find(service.database, type_id)
    if kind is None or not await _may_use(service, context, kind):
        raise TypeNotFound(type_id=type_id)
    return kind


async def visible(service: VolumeService, context: Context, *, is_public: bool | None) -> list[VolumeType]:
    """The types that a caller may know of, the newest first; `is_public` None: of both kinds."""
    found = await types.all_types(service.database)
    if not context.is_admin:
        mine = await types.open_to(service.database, context.project_id)
        found = [kind for kind in found if kind.is_public or kind.id in mine]
    return [kind for kind in found if is_public is None or kind.is_public == is_public]


async def names(service: VolumeService) -> list[str]:
    return list((await types.names(service.database)).values())


async def create(service: VolumeService, kind: VolumeType) -> VolumeType:
    """Raises: TypeExists (409)."""
    try:
        await service.database.transact(lambda tx: types.put(tx, kind))
    except Duplicate as taken:
        raise TypeExists(name=kind.name) from taken
    return kind


async def update(service: VolumeService, kind: VolumeType, facts: Mapping[str, object]) -> VolumeType:
    """Change name, description or whether it is public. Raises: TypeNotFound (404), TypeExists (409)."""
    return await _change(service, kind, lambda found: replace(found, **facts))


async def _change(service: VolumeService, kind: VolumeType, how: Callable[[VolumeType], VolumeType]) -> VolumeType:
    async def work(tx: Transaction) -> VolumeType:
        await types.hold(tx, kind.id)
        found = await types.find(tx, kind.id)
        if found is None:
            raise TypeNotFound(type_id=kind.id)
        after = replace(how(found), updated_at=service.runtime.now())
        await types.put(tx, after)
        return after

    try:
        return await service.database.transact(work)
    except Duplicate as taken:
        raise TypeExists(name=how(kind).name) from taken


async def rely_on(tx: Transaction, type_id: str) -> None:
    """Nobody deletes the type before the transaction ends; the default one nobody deletes at all.

    Raises: TypeNotFound (404).
    """
    if type_id != DEFAULT_TYPE_ID:
        await types.hold(tx, type_id)
        if await types.find(tx, type_id) is None:
            raise TypeNotFound(type_id=type_id)


async def delete(service: VolumeService, kind: VolumeType) -> None:
    """Raises: InvalidType (400) for the default type, and for one that volumes have."""
    if kind.id == DEFAULT_TYPE_ID:
        raise InvalidType(reason="the default volume type cannot be deleted.")

    async def work(tx: Transaction) -> None:
        await types.hold(tx, kind.id)
        if await volumes.is_type_used(tx, kind.id):
            raise InvalidType(reason=f"Target volume type is still in use: {kind.id}.")
        await types.delete(tx, kind.id)

    await service.database.transact(work)


# -- extra specs --------------------------------------------------------------------------------------------------
async def set_specs(service: VolumeService, kind: VolumeType, specs: Mapping[str, str]) -> VolumeType:
    return await _change(service, kind, lambda found: replace(found, specs={**found.specs, **specs}))


def get_spec(kind: VolumeType, key: str) -> str:
    """Raises: ExtraSpecNotFound (404)."""
    if key not in kind.specs:
        raise ExtraSpecNotFound(type_id=kind.id, key=key)
    return kind.specs[key]


async def drop_spec(service: VolumeService, kind: VolumeType, key: str) -> None:
    """Raises: ExtraSpecNotFound (404)."""

    def without(found: VolumeType) -> VolumeType:
        get_spec(found, key)
        return replace(found, specs={name: value for name, value in found.specs.items() if name != key})

    await _change(service, kind, without)


# -- who may use a private type -----------------------------------------------------------------------------------
async def projects(service: VolumeService, kind: VolumeType) -> list[str]:
    """Raises: TypeNotFound (404) for a public type, which everybody may use."""
    if kind.is_public:
        raise TypeNotFound("Access list not available for public volume types.", type_id=kind.id)
    return await types.projects_with_access(service.database, kind.id)


async def give_access(service: VolumeService, kind: VolumeType, project_id: str) -> None:
    """Raises: InvalidType (400) for a public type, TypeExists (409) when the project has it."""
    if kind.is_public:
        raise InvalidType(reason="Type access modification is not applicable to public volume type.")
    if await types.has_access(service.database, kind.id, project_id):
        raise TypeExists(f"Volume type access for {kind.id} / {project_id} combination already exists.")
    await service.database.transact(lambda tx: types.give_access(tx, kind.id, project_id))


async def take_access(service: VolumeService, kind: VolumeType, project_id: str) -> None:
    """Raises: TypeNotFound (404) when the project does not have it."""
    if not await service.database.transact(lambda tx: types.take_access(tx, kind.id, project_id)):
        raise TypeNotFound(f"Volume type access not found for {kind.id} / {project_id} combination.", type_id=kind.id)
