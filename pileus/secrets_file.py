"""The cloud's own secrets: one file of mode 0600 in the state directory, made at the first start."""

import os
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime

FILE = "secrets.json"


class SecretMissing(Unavailable):
    code = "secrets.missing"
    message = "The file of secrets has no {what}, which this part needs: see secrets.file in docs/pileus.toml.sample."


class Secrets(msgspec.Struct, kw_only=True):
    """Keys are 32 bytes; `accounts` are the service users' passwords by name. A host's file has its account alone."""

    admin_password: str = ""
    token_keys: dict[str, bytes] = {}  # by key id, a decimal number; the highest seals
    sealing_key: bytes = b""
    accounts: dict[str, str] = {}

    def key_of(self, account: str) -> str:
        """Raises: SecretMissing."""
        if account not in self.accounts:
            raise SecretMissing(what=f"key of account {account}")
        return self.accounts[account]


class SecretsUnreadable(Unavailable):
    code = "secrets.unreadable"
    message = "The secrets of this cloud cannot be read from {path}: {reason}. Restore a backup of the state directory."


def load(state_dir: Path, runtime: Runtime) -> Secrets:
    """The secrets of a state directory; made and written when it has none. Raises: SecretsUnreadable."""
    return ensure(state_dir / FILE, runtime)


def ensure(path: Path, runtime: Runtime) -> Secrets:
    """The secrets of a file; made and written when it is not there. Raises: SecretsUnreadable."""
    if not path.exists():
        made = Secrets(
            admin_password=runtime.random_bytes(12).hex(),
            token_keys={"1": runtime.random_bytes(32)},
            sealing_key=runtime.random_bytes(32),
        )
        write(path, made)
        return made
    return read(path)


def read(path: Path) -> Secrets:
    """The secrets of a file that must be there. Raises: SecretsUnreadable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Secrets)
    except (OSError, msgspec.DecodeError) as error:
        raise SecretsUnreadable(path=path, reason=str(error)) from error


def save(state_dir: Path, secrets: Secrets) -> None:
    """Write the file of a state directory anew."""
    write(state_dir / FILE, secrets)


def write(path: Path, secrets: Secrets) -> None:
    """Write a file of secrets anew."""
    write_private(path, secrets)


def write_private(path: Path, document: Any) -> None:
    """Write a JSON file anew: whole or not at all, readable by its owner alone."""
    partial = path.with_name(f".{path.name}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(msgspec.json.format(msgspec.json.encode(document), indent=1))
        target.flush()
        os.fsync(target.fileno())
    partial.replace(path)
