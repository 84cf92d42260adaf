"""Changes after which answers about tokens may differ: one transaction that also advances the epoch."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pileus.foundation.database import Transaction
from pileus.identity.app.service import Identity
from pileus.identity.domain.password_rules import MICROSECONDS
from pileus.identity.store import revocations

T = TypeVar("T")


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
    """Run `work` in one transaction; once it is committed, answers that were remembered before it are worth nothing."""
    settings = identity.settings
    now = identity.runtime.now()
    forget_at = now + (settings.token_lifetime_s + settings.ended_window_s) * MICROSECONDS

    async def whole(tx: Transaction) -> tuple[int, T]:
        epoch = await revocations.advance_epoch(tx, leap)
        return epoch, await work(Change(tx, epoch, now, forget_at))

    epoch, result = await identity.database.transact(whole)
    identity.epoch.advance(epoch)
    return result
