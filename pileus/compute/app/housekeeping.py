"""What compute does now and then: history stays bounded, however old the cloud gets."""

import logging

from pileus.compute.app.host_journal import BUILD
from pileus.compute.flows.launch_server import NAME as LAUNCH
from pileus.compute.service import Compute
from pileus.compute.store import actions, servers
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error

log = logging.getLogger("pileus.compute")

PAUSE_S = 300.0


async def keep_house(compute: Compute) -> None:
    """Tidy for ever."""
    while True:
        await compute.runtime.sleep(PAUSE_S)
        try:
            await tidy(compute)
        except Error as error:
            log.warning("housekeeping: %s", error)


async def tidy(compute: Compute) -> int:
    """One pass: forget servers deleted long ago with all that was done to them, and flows that ended long ago.

    The launch of a server that lives is kept for its trace. Returns how many servers were forgotten.
    """
    settings = compute.settings
    before = compute.runtime.now() - int(settings.deleted_keep_s * 1_000_000)
    old = await servers.long_deleted(compute.database, before=before, keep=settings.deleted_keep)
    for server_id in old:

        async def forget(tx: Transaction, server_id: str = server_id) -> None:
            await servers.forget(tx, server_id)
            await actions.forget(tx, server_id)
            await compute.journal.forget(tx, server_id)

        await compute.database.transact(forget)
    await compute.database.transact(lambda tx: compute.journal.forget_before(tx, before, keep=(LAUNCH, BUILD)))
    return len(old)
