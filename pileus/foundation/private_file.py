"""Files that hold a secret: read only when nobody but their owner can."""

import os
import stat
from pathlib import Path

from pileus.foundation.errors import Unavailable


class NotPrivate(Unavailable):
    code = "file.not-private"
    message = "{path} holds a secret and others can read it. Run: chmod 600 {path}"


class SecretFileUnreadable(Unavailable):
    code = "file.unreadable"
    message = "{path}, which holds a secret, cannot be read: {reason}. Check the setting that names it, and its owner."


def is_private(path: Path) -> bool:
    """Whether only the owner has any right to the file. Raises: SecretFileUnreadable."""
    try:
        return not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError as error:
        raise SecretFileUnreadable(path=path, reason=os.strerror(error.errno or 0)) from error


def check_private(path: Path) -> None:
    """Raises: NotPrivate, SecretFileUnreadable."""
    if not is_private(path):
        raise NotPrivate(path=path)


def read_private(path: Path) -> bytes:
    """The content of a file that only its owner can read. Raises: NotPrivate, SecretFileUnreadable."""
    check_private(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecretFileUnreadable(path=path, reason=os.strerror(error.errno or 0)) from error
