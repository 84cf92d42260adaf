"""Requests that run at once through two processes' doors, and how their answers are counted."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

from pileus.foundation.database import Database, sql

ROUNDS = 4
MANY = 12


_NOTHING = sql("SELECT 1 AS yes")


async def warm(*databases: Database) -> None:
    """Open the connections of a race before it, or whoever has one first wins alone."""
    await asyncio.gather(*(database.one(_NOTHING) for database in databases for _ in range(10)))


async def at_once(requests: Iterable[Awaitable[Any]]) -> list[Any]:
    """The answers, in the order of the requests."""
    return list(await asyncio.gather(*requests))


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
