"""Requests that run at once through two processes' doors, and how their answers are counted."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

ROUNDS = 4
MANY = 12


async def at_once(requests: Iterable[Awaitable[Any]]) -> list[Any]:
    """The answers, in the order of the requests."""
    return list(await asyncio.gather(*requests))


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
