"""Users' credentials for other doors. Owner and project never change, and none outgrows what it was made with."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pileus.foundation.database import Duplicate, Transaction
from pileus.foundation.errors import NotSupported
from pileus.foundation.sealing import Sealer
from pileus.identity.app.change import write
from pileus.identity.app.service import Identity
from pileus.identity.domain.credential import EC2, Credential, Ec2Key, ec2_id, read_ec2, write_ec2
from pileus.identity.domain.errors import InvalidBlob, Missing, MissingReference, Taken, Unchangeable
from pileus.identity.domain.filters import Condition
from pileus.identity.store import credentials, projects, users

_PURPOSE = "identity credential"


def _sealer(identity: Identity) -> Sealer:
    if identity.sealer is None:
        raise NotSupported("This cloud was started without a key to keep credentials with.")
    return identity.sealer


def _seal(identity: Identity, credential: Credential) -> bytes:
    return _sealer(identity).seal(credential.blob.encode(), f"{_PURPOSE} {credential.id}")


def _open(identity: Identity, found: credentials.Sealed) -> Credential:
    credential, sealed = found
    blob = _sealer(identity).open(sealed, f"{_PURPOSE} {credential.id}").decode()
    return msgspec.structs.replace(credential, blob=blob)


async def get(identity: Identity, id: str) -> Credential:
    """Raises: Missing (404)."""
    found = await credentials.find(identity.database, id)
    if found is None:
        raise Missing(what="credential", id=id)
    return _open(identity, found)


async def list_credentials(identity: Identity, conditions: Sequence[Condition]) -> list[Credential]:
    return [_open(identity, found) for found in await credentials.listed(identity.database, conditions)]


async def create(identity: Identity, credential: Credential) -> Credential:
    """Keep a credential; the id is chosen here: that of its key for EC2.

    Raises: InvalidBlob, MissingReference (400), Taken (409).
    """
    id = identity.runtime.hex_id()
    if credential.type == EC2:
        key = read_ec2(credential.blob)
        if key is None:
            raise InvalidBlob()
        id = ec2_id(key.access)
    made = msgspec.structs.replace(credential, id=id)
    sealed = _seal(identity, made)

    async def work(tx: Transaction) -> None:
        if await users.find(tx, made.user_id) is None:
            raise MissingReference(what="user", id=made.user_id)
        if made.project_id is not None and await projects.find_untagged(tx, made.project_id) is None:
            raise MissingReference(what="project", id=made.project_id)
        await credentials.insert(tx, made, sealed)

    try:
        await write(identity, work)
    except Duplicate as error:
        raise Taken(what="credential", detail=f"Duplicate entry found with ID {made.id}") from error
    return made


async def create_ec2(
    identity: Identity, user_id: str, project_id: str, application_credential_id: str
) -> tuple[Credential, Ec2Key]:
    """A new EC2 key for a user in a project. Raises: Missing (404) for either."""
    for what, found in (
        ("user", await users.find(identity.database, user_id)),
        ("project", await projects.find_untagged(identity.database, project_id)),
    ):
        if found is None:
            raise Missing(what=what, id=user_id if what == "user" else project_id)
    key = Ec2Key(access=identity.runtime.hex_id(), secret=identity.runtime.random_bytes(16).hex())
    credential = Credential(
        id="",
        user_id=user_id,
        type=EC2,
        blob=write_ec2(key),
        project_id=project_id,
        application_credential_id=application_credential_id,
    )
    return await create(identity, credential), key


async def update(identity: Identity, id: str, blob: str | None, extra: dict[str, Any]) -> Credential:
    """Another blob, or other attributes of the client's own. Raises: Missing (404), InvalidBlob, Unchangeable (400)."""
    old = await get(identity, id)
    new = msgspec.structs.replace(old, blob=old.blob if blob is None else blob, extra=old.extra | extra)
    if old.type == EC2:
        before, after = read_ec2(old.blob), read_ec2(new.blob)
        if before is None or after is None:
            raise InvalidBlob()
        if before.trust_id != after.trust_id:
            raise Unchangeable(attribute="the trust of an EC2 credential")
    sealed = _seal(identity, new)

    async def work(tx: Transaction) -> None:
        await credentials.update(tx, new, sealed)

    await write(identity, work)
    return new


async def delete(identity: Identity, id: str) -> None:
    """Raises: Missing (404)."""

    async def work(tx: Transaction) -> None:
        if not await credentials.delete(tx, id):
            raise Missing(what="credential", id=id)

    await write(identity, work)


async def find_ec2(identity: Identity, user_id: str, access: str) -> tuple[Credential, Ec2Key]:
    """The user's own EC2 key. Raises: Missing (404), also for another user's."""
    found = await credentials.find(identity.database, ec2_id(access))
    if found is None or found[0].user_id != user_id or found[0].type != EC2:
        raise Missing(what="credential", id=access)
    credential = _open(identity, found)
    key = read_ec2(credential.blob)
    if key is None:
        raise Missing(what="credential", id=access)
    return credential, key


async def list_ec2(identity: Identity, user_id: str) -> list[tuple[Credential, Ec2Key]]:
    """All EC2 keys of a user."""
    found = await list_credentials(identity, [Condition("user_id", user_id), Condition("type", EC2)])
    keys = [(each, read_ec2(each.blob)) for each in found]
    return [(each, key) for each, key in keys if key is not None]
