"""Keypairs: importing public keys, making pairs, and handing the private half out once."""

from pileus.compute.domain import quota
from pileus.compute.domain.keypair import Generated, Keypair, KeyType, fingerprint_of, generate_ssh, generate_x509
from pileus.compute.service import Compute
from pileus.compute.store import keypairs, quotas
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from pileus.foundation.errors import BadRequest


class KeypairMarkerNotFound(BadRequest):
    code = "compute.keypair.marker-not-found"
    message = "marker [{marker}] not found"


async def add(
    compute: Compute, context: Context, *, user_id: str, name: str, key_type: KeyType, public_key: str
) -> Keypair:
    """Keep a public key. Raises: KeypairInvalid (400), KeypairQuotaExceeded (403), KeypairExists (409)."""
    fingerprint = fingerprint_of(public_key, key_type)
    return await _keep(compute, context, user_id, name, key_type, public_key, fingerprint)


async def generate(
    compute: Compute, context: Context, *, user_id: str, name: str, key_type: KeyType
) -> tuple[Keypair, str]:
    """Make a pair and return it with its private key, which is kept nowhere.

    Raises: KeypairQuotaExceeded (403), KeypairExists (409).
    """
    await compute.database.transact(lambda tx: _check_quota(tx, context, user_id))
    if key_type == "x509":
        made: Generated = await compute.runtime.in_thread(generate_x509, user_id, compute.runtime.now(), pool="keys")
    else:
        made = await compute.runtime.in_thread(generate_ssh, pool="keys")
    kept = await _keep(compute, context, user_id, name, key_type, made.public_key, made.fingerprint)
    return kept, made.private_key


async def _keep(
    compute: Compute,
    context: Context,
    user_id: str,
    name: str,
    key_type: KeyType,
    public_key: str,
    fingerprint: str,
) -> Keypair:
    async def work(tx: Transaction) -> Keypair:
        await _check_quota(tx, context, user_id)
        keypair = Keypair(
            user_id=user_id, name=name, type=key_type, public_key=public_key, fingerprint=fingerprint,
            number=await keypairs.next_number(tx), created_at=compute.runtime.now(),
        )  # fmt: skip
        await keypairs.insert(tx, keypair)
        return keypair

    return await compute.database.transact(work)


async def _check_quota(tx: Transaction, context: Context, user_id: str) -> None:
    await tx.lock("quota", user_id, "key_pairs")
    used = await keypairs.count(tx, user_id)
    quota.check(await quotas.limits(tx, context.project_id), {"key_pairs": used}, {"key_pairs": 1})


async def get(compute: Compute, user_id: str, name: str) -> Keypair:
    """Raises: KeypairNotFound (404)."""
    return await keypairs.get(compute.database, user_id, name)


async def listed(compute: Compute, user_id: str, *, limit: int, marker: str | None) -> list[Keypair]:
    """The user's keypairs in the order of their names. Raises: KeypairMarkerNotFound (400)."""
    if marker is not None and await keypairs.find(compute.database, user_id, marker) is None:
        raise KeypairMarkerNotFound(marker=marker)
    return await keypairs.of_user(compute.database, user_id, after=marker or "", limit=limit)


async def delete(compute: Compute, user_id: str, name: str) -> None:
    """Servers keep their copy. Raises: KeypairNotFound (404)."""
    await compute.database.transact(lambda tx: keypairs.delete(tx, user_id, name))
