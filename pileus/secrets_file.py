"""The cloud's own secrets: one file of mode 0600 in the state directory, made at the first start."""

import os
from pathlib import Path

import msgspec

from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime

FILE = "secrets.json"


class Secrets(msgspec.Struct, kw_only=True):
    """Keys are 32 bytes; `accounts` are the service users' passwords by name."""

    admin_password: str
    token_keys: dict[str, bytes]  # by key id, a decimal number; the highest seals
    sealing_key: bytes
    accounts: dict[str, str] = {}


class SecretsUnreadable(Unavailable):
    code = "secrets.unreadable"
    message = "The secrets of this cloud cannot be read from {path}: {reason}. Restore a backup of the state directory."


def load(state_dir: Path, runtime: Runtime) -> Secrets:
    """The secrets of a state directory; made and written when it has none. Raises: SecretsUnreadable."""
    path = state_dir / FILE
    if not path.exists():
        made = Secrets(
            admin_password=runtime.random_bytes(12).hex(),
            token_keys={"1": runtime.random_bytes(32)},
            sealing_key=runtime.random_bytes(32),
        )
        save(state_dir, made)
        return made
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except (OSError, msgspec.DecodeError) as error:
        raise SecretsUnreadable(path=path, reason=str(error)) from error


def save(state_dir: Path, secrets: Secrets) -> None:
    """Write the file anew: whole or not at all, readable by its owner alone."""
    partial = state_dir / f".{FILE}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(msgspec.json.format(msgspec.json.encode(secrets), indent=1))
        target.flush()
        os.fsync(target.fileno())
    partial.replace(state_dir / FILE)
