"""Keypairs in the database: public keys by user and name. Private keys are never stored."""

from typing import Any

from pileus.compute.domain.errors import KeypairExists, KeypairNotFound
from pileus.compute.domain.keypair import Keypair
from pileus.foundation.database import Database, Transaction, sql

_COLUMNS = "user_id, name, number, type, fingerprint, public_key, created_at"
_FIND = sql(f"SELECT {_COLUMNS} FROM compute_keypairs WHERE user_id = :user_id AND name = :name")
_OF_USER = sql(
    f"SELECT {_COLUMNS} FROM compute_keypairs WHERE user_id = :user_id AND name > :after ORDER BY name LIMIT :limit"
)
_COUNT = sql("SELECT COUNT(*) AS found FROM compute_keypairs WHERE user_id = :user_id")
_NUMBER = sql(
    "INSERT INTO compute_numbers (name, value) VALUES ('keypairs', 1) "
    "ON CONFLICT (name) DO UPDATE SET value = compute_numbers.value + 1 RETURNING value"
)
_INSERT = sql(
    f"INSERT INTO compute_keypairs ({_COLUMNS}) "
    "VALUES (:user_id, :name, :number, :type, :fingerprint, :public_key, :created_at)"
)
_DELETE = sql("DELETE FROM compute_keypairs WHERE user_id = :user_id AND name = :name")


def _keypair(row: Any) -> Keypair:
    return Keypair(
        user_id=row["user_id"], name=row["name"], number=row["number"], type=row["type"],
        fingerprint=row["fingerprint"], public_key=row["public_key"], created_at=row["created_at"],
    )  # fmt: skip


async def find(reader: Database | Transaction, user_id: str, name: str) -> Keypair | None:
    row = await reader.one(_FIND, user_id=user_id, name=name)
    return None if row is None else _keypair(row)


async def get(reader: Database | Transaction, user_id: str, name: str) -> Keypair:
    """Raises: KeypairNotFound (404)."""
    found = await find(reader, user_id, name)
    if found is None:
        raise KeypairNotFound(name=name, user_id=user_id)
    return found


async def of_user(reader: Database, user_id: str, *, after: str = "", limit: int = 1000) -> list[Keypair]:
    """The user's keypairs in the order of their names, those after the name `after`."""
    return [_keypair(row) for row in await reader.all(_OF_USER, user_id=user_id, after=after, limit=limit)]


async def count(reader: Database | Transaction, user_id: str) -> int:
    row = await reader.one(_COUNT, user_id=user_id)
    assert row is not None
    return int(row["found"])


async def next_number(tx: Transaction) -> int:
    row = await tx.one(_NUMBER)
    assert row is not None
    return int(row["value"])


async def insert(tx: Transaction, keypair: Keypair) -> None:
    """Raises: KeypairExists (409)."""
    if await tx.one(_FIND, user_id=keypair.user_id, name=keypair.name) is not None:
        raise KeypairExists(name=keypair.name)
    await tx.run(
        _INSERT, user_id=keypair.user_id, name=keypair.name, number=keypair.number, type=keypair.type,
        fingerprint=keypair.fingerprint, public_key=keypair.public_key, created_at=keypair.created_at,
    )  # fmt: skip


async def delete(tx: Transaction, user_id: str, name: str) -> None:
    """Raises: KeypairNotFound (404)."""
    if await tx.run(_DELETE, user_id=user_id, name=name) != 1:
        raise KeypairNotFound(name=name, user_id=user_id)
