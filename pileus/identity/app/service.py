"""Everything identity's use cases need, built once by the wiring and handed to each."""

from dataclasses import dataclass

from pileus.foundation.database import Database
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.identity.app.catalogs import Catalogs
from pileus.identity.app.passwords import Passwords
from pileus.identity.app.settings import Settings
from pileus.identity.app.tokens import Tokens
from pileus.identity.domain.token import Keyring
from pileus.identity.store import revocations
from pileus.identity.store.tables import SCHEMA


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity service of one process."""

    database: Database
    runtime: Runtime
    settings: Settings
    epoch: Epoch
    passwords: Passwords
    tokens: Tokens
    catalogs: Catalogs
    sealer: Sealer | None  # for credentials at rest


def build(
    database: Database,
    runtime: Runtime,
    keyring: Keyring,
    epoch: Epoch,
    settings: Settings | None = None,
    sealer: Sealer | None = None,
) -> Identity:
    """Put the service together; `start` it before the first request."""
    settings = settings if settings is not None else Settings()
    return Identity(
        database=database,
        runtime=runtime,
        settings=settings,
        epoch=epoch,
        passwords=Passwords(runtime, settings),
        tokens=Tokens(database, runtime, keyring, epoch, settings),
        catalogs=Catalogs(database),
        sealer=sealer,
    )


async def stop(identity: Identity) -> None:
    """Write what is still in memory; before the database closes."""
    await identity.tokens.issues.write()


async def start(identity: Identity) -> None:
    """Make the tables and take over the epoch that the database knows."""
    await identity.database.migrate(SCHEMA)
    identity.epoch.advance(await revocations.read_epoch(identity.database))
