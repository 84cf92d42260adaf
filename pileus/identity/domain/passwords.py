"""Password hashes: argon2id for people, a fast hash for keys of 256 random bits, bcrypt only to read old ones.

The functions here are slow on purpose (about 20 ms): `app/passwords.py` calls them in threads.
"""

import base64
import hashlib
import hmac
from typing import Annotated

import msgspec

from pileus.foundation.config import meaning

SALT_BYTES = 16
LONGEST = 4096  # characters of a password that are looked at; a longer one is refused

_KEY_PREFIX = "$pileus-key$"


class Cost(msgspec.Struct, frozen=True, gc=False):
    """How hard argon2id works."""

    passes: Annotated[int, meaning("Passes over the memory.")] = 2
    memory_kib: Annotated[int, meaning("Memory in KiB.")] = 19_456
    lanes: Annotated[int, meaning("Lanes beside each other.")] = 1


def hash_password(password: str, salt: bytes, cost: Cost) -> str:
    """The argon2id hash of a password, with its salt and cost in the text."""
    from argon2 import low_level

    return low_level.hash_secret(
        password.encode(), salt, cost.passes, cost.memory_kib, cost.lanes, 32, low_level.Type.ID
    ).decode()


def hash_key(key: str, salt: bytes) -> str:
    """The hash of a *generated* key of 256 random bits or more: guessing it is hopeless, so the hash may be fast."""
    digest = hashlib.blake2b(key.encode(), digest_size=32, salt=salt).digest()
    return f"{_KEY_PREFIX}{_text(salt)}${_text(digest)}"


def is_key_hash(stored: str) -> bool:
    return stored.startswith(_KEY_PREFIX)


def verify(stored: str, password: str) -> bool:
    """Whether the password is the one whose hash is stored; False for an empty or unknown hash."""
    if stored.startswith("$argon2"):
        return _verify_argon2(stored, password)
    if is_key_hash(stored):
        salt = base64.urlsafe_b64decode(stored.split("$")[2] + "==")
        return hmac.compare_digest(hash_key(password, salt), stored)
    if stored.startswith(("$2a$", "$2b$", "$2y$")):
        return _verify_bcrypt(stored, password)
    return False


def decoy(cost: Cost) -> str:
    """A hash that no password has: checking it takes as long as a real one."""
    blank = base64.b64encode(bytes(SALT_BYTES)).rstrip(b"=").decode()
    nothing = base64.b64encode(bytes(32)).rstrip(b"=").decode()
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${blank}${nothing}"


def is_outdated(stored: str, cost: Cost) -> bool:
    """Whether the hash is of another kind or cost than new ones."""
    wanted = f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}$"
    return not stored.startswith((wanted, _KEY_PREFIX))


def _verify_argon2(stored: str, password: str) -> bool:
    from argon2 import low_level
    from argon2.exceptions import VerificationError

    try:
        return low_level.verify_secret(stored.encode(), password.encode(), low_level.Type.ID)
    except VerificationError:
        return False


def _verify_bcrypt(stored: str, password: str) -> bool:
    """Users imported from elsewhere. Without the bcrypt package they cannot log in until their password is set anew."""
    try:
        import bcrypt  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return False
    return bool(bcrypt.checkpw(password.encode()[:72], stored.encode()))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
