"""Password checks beside the loop: two threads, and no more waiting than can be served in time."""

from collections.abc import Callable
from typing import TypeVar

from pileus.foundation.runtime import Runtime
from pileus.identity.app.settings import Settings
from pileus.identity.domain import passwords
from pileus.identity.domain.errors import TooManyLogins

POOL = "passwords"

T = TypeVar("T")


class Passwords:
    """Hashes and verifies. A check that cannot succeed takes as long as one that could."""

    def __init__(self, runtime: Runtime, settings: Settings):
        self._runtime = runtime
        self._cost = settings.password_cost
        self._most = settings.password_threads + settings.password_queue
        self._under_way = 0
        self._decoy = passwords.decoy(self._cost)
        runtime.size_pool(POOL, settings.password_threads)

    async def hash(self, password: str) -> str:
        """Raises: TooManyLogins (503)."""
        return await self._run(passwords.hash_password, password, self._salt(), self._cost)

    def hash_key(self, key: str) -> str:
        """The stored form of a generated key."""
        return passwords.hash_key(key, self._salt())

    def is_key(self, stored: str, key: str) -> bool:
        """Whether the stored form is of this generated key."""
        return passwords.is_key_hash(stored) and passwords.verify(stored, key)

    async def verify(self, stored: str, password: str) -> bool:
        """Whether this is the password; `stored` is empty where there is nobody to compare with.

        Raises: TooManyLogins (503).
        """
        if len(password) > passwords.LONGEST:
            password, stored = "", ""
        if passwords.is_key_hash(stored):
            if passwords.verify(stored, password):
                return True
            stored = ""
        if stored:
            return await self._run(passwords.verify, stored, password)
        await self._run(passwords.verify, self._decoy, password)
        return False

    async def is_any(self, hashes: list[str], password: str) -> bool:
        """Whether one of the hashes is of this password."""
        for stored in hashes:
            if await self._run(passwords.verify, stored, password):
                return True
        return False

    def is_outdated(self, stored: str) -> bool:
        """Whether a right password should be hashed anew: an imported hash, or one of another cost."""
        return passwords.is_outdated(stored, self._cost)

    def _salt(self) -> bytes:
        return self._runtime.random_bytes(passwords.SALT_BYTES)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        if self._under_way >= self._most:
            raise TooManyLogins()
        self._under_way += 1
        try:
            return await self._runtime.in_thread(work, *args, pool=POOL)
        finally:
            self._under_way -= 1
