"""What PostgreSQL's failures mean to us: try again, or tell the caller, and with which mend."""

import enum
import ssl
from typing import NamedTuple

import asyncpg  # only what has a PostgreSQL imports this

from pileus.foundation.database.seam import BrokenReference, DatabaseFull, Duplicate
from pileus.foundation.errors import BadRequest, ConcurrentChange, Error, Unavailable


class DatabaseUnreachable(Unavailable):
    """Nobody answers at the address."""

    code = "database.unreachable"
    message = (
        "The cloud's database does not answer ({reason}). See that PostgreSQL runs, and that its address is right."
    )


class DatabaseLost(Unavailable):
    """The connection broke and could not be made again in time; nothing was changed."""

    code = "database.lost"
    message = "The connection to the cloud's database broke; nothing was changed. Try again."


class OutcomeUnknown(Unavailable):
    """The connection broke while a commit was under way: it may have happened or not, so nobody repeats it blindly."""

    code = "database.unknown"
    message = "The connection to the cloud's database broke during the commit: look whether it was done, then retry."


class DatabaseBusy(Unavailable):
    """Somebody else held what was needed for too long."""

    code = "database.busy"
    message = "The cloud's database is busy: it did not answer in time. Try again."


class ServerFull(DatabaseFull):
    """The disk of the database's server is full."""

    message = "The cloud's database cannot grow: the disk of its server is full. Free space there and retry."


class LoginRefused(Unavailable):
    """The server does not let us in."""

    code = "database.login"
    message = "PostgreSQL refuses: {reason}. Check user, password, pg_hba.conf, and that the user owns the database."


class NoSuchDatabase(Unavailable):
    """The server knows no database of this name."""

    code = "database.missing"
    message = "PostgreSQL says: {reason}. Create it: createdb --owner USER --encoding UTF8 --template template0 NAME."


class Untrusted(Unavailable):
    """Whoever answers does not prove who he is."""

    code = "database.untrusted"
    message = (
        "The database's server does not prove who it is: {reason}. Give it a certificate for the name in the URL, "
        "signed by an authority in sslrootcert; without TLS write sslmode=disable."
    )


class WeakTls(BadRequest):
    """An sslmode that looks like protection and is none."""

    code = "database.tls"
    message = (
        "sslmode={mode} does not go with checking who answers: write sslmode=verify-full, or disable without files."
    )


class UnsafeDatabase(Unavailable):
    """A database that would not keep what we promise."""

    code = "database.unsafe"


class StatementFailed(Error):
    """A statement failed, its error was swallowed, and so nothing could be committed."""

    code = "database.failed"
    message = "A statement of the transaction had failed: nothing was committed."


class TextRefused(BadRequest):
    """PostgreSQL stores no NUL in text."""

    code = "database.text"
    message = "A text contains a character that cannot be stored (NUL)."


class Again(enum.Enum):
    """Whether the same work may be done once more."""

    NEVER = 0
    HERE = 1  # nothing was changed
    IN_TURN = 2  # somebody else changed the row between our reading and our writing it
    ELSEWHERE = 3  # nothing was changed, and connections lead to a server that takes no writes


class Verdict(NamedTuple):
    again: Again
    failure: Exception


_RACES = (
    asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError,
    asyncpg.exceptions.OutdatedSchemaCacheError,
)  # fmt: skip
_LOST = (
    asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError, asyncpg.exceptions.IdleSessionTimeoutError,
)  # fmt: skip
_BROKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError)  # the driver's words, also for a server gone meanwhile
_NOT_NOW = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)
_TEXT = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_ROLE = (asyncpg.ReadOnlySQLTransactionError, asyncpg.exceptions.TargetServerAttributeNotMatched)
_LOGIN = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
_FULL = (asyncpg.DiskFullError, asyncpg.PostgresIOError)
_BUSY = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is good for nothing any more, so that nobody knows what became of its last statement."""
    if isinstance(error, ValueError):  # an argument that cannot be sent
        return False
    return isinstance(error, (*_LOST, *_BROKEN, OutcomeUnknown, OSError, TimeoutError, asyncpg.QueryCanceledError))


def judge(error: Exception) -> Verdict:
    """What an error of a transaction that was not committed means. A stranger is handed back as he is."""
    reason = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, ConcurrentChange):
        return Verdict(Again.IN_TURN, error)
    if isinstance(error, Error):
        return Verdict(Again.NEVER, error)
    if isinstance(error, _RACES):
        return Verdict(Again.HERE, DatabaseBusy(log=reason))
    if isinstance(error, _ROLE):
        return Verdict(Again.ELSEWHERE, DatabaseUnreachable(reason=reason))
    if isinstance(error, asyncpg.UniqueViolationError):
        return Verdict(Again.NEVER, Duplicate(log=reason))
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return Verdict(Again.NEVER, BrokenReference(log=reason))
    if isinstance(error, _NOT_NOW):
        return Verdict(Again.HERE, DatabaseUnreachable(reason=reason))
    if isinstance(error, _BROKEN) and "pool is clos" in reason:
        return Verdict(Again.NEVER, DatabaseLost(log=reason))
    if isinstance(error, _LOST) or (isinstance(error, _BROKEN) and not isinstance(error, ValueError)):
        return Verdict(Again.HERE, DatabaseLost(log=reason))
    if isinstance(error, _TEXT):
        return Verdict(Again.NEVER, TextRefused(log=reason))
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return Verdict(Again.NEVER, NoSuchDatabase(reason=reason))
    if isinstance(error, _LOGIN):
        return Verdict(Again.NEVER, LoginRefused(reason=reason))
    if isinstance(error, _FULL):
        return Verdict(Again.NEVER, ServerFull(log=reason))
    if isinstance(error, (*_BUSY, TimeoutError)):
        return Verdict(Again.NEVER, DatabaseBusy(log=reason))
    if isinstance(error, ssl.SSLError) or "SSL upgrade" in reason:
        return Verdict(Again.NEVER, Untrusted(reason=reason))
    if isinstance(error, OSError):
        return Verdict(Again.HERE, DatabaseUnreachable(reason=reason))
    return Verdict(Again.NEVER, error)
