"""How identity writes: nobody else changes it meanwhile, so what a use case read still holds when it writes.

Parents of projects, owners of roles, members of groups are checked in one row and relied on in another; changes are
rare, so one lock for all of them is the whole rule. What a login writes does not wait for it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pileus.foundation.database import Transaction
from pileus.identity.app.service import Identity
from pileus.identity.domain.password_rules import MICROSECONDS
from pileus.identity.store import revocations

T = TypeVar("T")


async def write(identity: Identity, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run `work` in one transaction, alone. For what makes no token worth more or less."""

    async def whole(tx: Transaction) -> T:
        await tx.lock("identity")
        return await work(tx)

    return await identity.database.transact(whole)


class Change:
    """A transaction under way, in an epoch of its own."""

    __slots__ = ("_forget_at", "epoch", "now", "tx")

    def __init__(self, tx: Transaction, epoch: int, now: int, forget_at: int):
        self.tx = tx
        self.epoch = epoch
        self.now = now
        self._forget_at = forget_at

    async def revoke(self, *subjects: str) -> None:
        """Refuse every token that the subjects had before this change (`domain.revocation` names them)."""
        await revocations.revoke(self.tx, subjects, self.epoch, self.now, self._forget_at)


async def change(identity: Identity, work: Callable[[Change], Awaitable[T]], *, leap: int = 1) -> T:
    """As `write`, advancing the epoch: once it is committed, answers that were remembered before are worth nothing."""
    settings = identity.settings
    now = identity.runtime.now()
    forget_at = now + (settings.token_lifetime_s + settings.ended_window_s) * MICROSECONDS

    async def whole(tx: Transaction) -> tuple[int, T]:
        epoch = await revocations.advance_epoch(tx, leap)
        return epoch, await work(Change(tx, epoch, now, forget_at))

    epoch, result = await write(identity, whole)
    identity.epoch.advance(epoch)
    return result
