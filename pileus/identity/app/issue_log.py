"""The log of issued tokens, written a moment later and many at once: a login waits for no disk.

What a crash takes with it are the issues of the last moment; a trace then shows them as missing.
"""

from pileus.foundation.database import Database, Transaction
from pileus.foundation.runtime import Runtime
from pileus.identity.store import access_log
from pileus.identity.store.access_log import Issue

WRITE_AFTER_S = 0.1
TRIM_EVERY = 512


class IssueLog:
    """Bounded: the newest `most` are kept, and up to `TRIM_EVERY` more."""

    def __init__(self, database: Database, runtime: Runtime, most: int, *, is_shared: bool = False):
        self._database = database
        self._runtime = runtime
        self._most = most
        self._is_shared = is_shared
        self._waiting: dict[str, Issue] = {}
        self._is_due = False
        self._written = 0

    def add(self, issue: Issue) -> None:
        self._waiting[issue.audit_id] = issue
        if not self._is_due:
            self._is_due = True
            self._runtime.spawn(self._write_soon(), "identity-issue-log")

    async def _write_soon(self) -> None:
        await self._runtime.sleep(WRITE_AFTER_S)
        await self.write()

    async def write(self) -> None:
        """Write what is waiting."""
        self._is_due = False
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        before, self._written = self._written, self._written + len(waiting)
        is_full = before // TRIM_EVERY != self._written // TRIM_EVERY

        async def work(tx: Transaction) -> None:
            for issue in waiting.values():
                await access_log.add(tx, issue)
            if is_full:
                await access_log.trim(tx, self._most)

        await self._database.transact(work)

    async def find(self, audit_id: str) -> Issue | None:
        """How the token with this audit id came to be; None when that is forgotten."""
        found = self._waiting.get(audit_id) or await access_log.find(self._database, audit_id)
        if found is None and self._is_shared:  # another process may be about to write it
            await self._runtime.sleep(2 * WRITE_AFTER_S)
            found = await access_log.find(self._database, audit_id)
        return found
