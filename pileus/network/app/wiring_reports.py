"""What hosts say of their ports: wired or not. Only the host that a port is bound to is believed, of this binding."""

from collections.abc import Sequence

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app.revisions import next_revision
from pileus.network.app.service import NetworkService
from pileus.network.domain.port import ACTIVE, DOWN
from pileus.network.peers.service import PortReport
from pileus.network.store import ports


async def take(service: NetworkService, host: str, reports: Sequence[PortReport]) -> list[str]:
    """Set the ports' statuses; returns the ids of those that changed. Repeated, it changes nothing."""

    async def work(tx: Transaction) -> list[str]:
        by_id = {report.port_id: report for report in reports}
        now = service.runtime.now()
        changed = []
        for stored in await ports.find_many(tx, list(by_id)):
            port, report = stored.port, by_id[stored.port.id]
            status = ACTIVE if report.is_wired and port.admin_state_up else DOWN
            if port.host != host or report.epoch != stored.fence.number or status == port.status:
                continue
            new = next_revision(port, msgspec.structs.replace(port, status=status), now)
            await ports.update(tx, stored, stored._replace(port=new), now)
            changed.append(port.id)
        return changed

    return await service.transact(work)
