"""The invariants of block storage, checked against what back ends and compute really hold. It repairs nothing."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
from pileus.foundation.flow.model import STUCK, FlowRecord
from pileus.volume.domain.snapshot import Snapshot, SnapshotStatus
from pileus.volume.domain.volume import Volume
from pileus.volume.domain.volume_states import HOLDS_DATA, AttachStatus, is_overdue
from pileus.volume.service import VolumeService
from pileus.volume.store import snapshots, volumes

Finding = dict[str, Any]
LET_GO_S = 60


async def audit(service: VolumeService) -> list[Finding]:
    """Every violation found: which invariant, about what, what is there, and what mends it."""

    async def read(tx: Transaction) -> tuple[list[Volume], list[Snapshot], list[FlowRecord], list[Volume]]:
        return (
            await volumes.everything(tx), await snapshots.everything(tx), await service.journal.all_open(tx),
            await volumes.busy(tx),
        )  # fmt: skip

    every, taken, flows, busy = await service.database.snapshot(read)
    findings = [finding for volume in every for finding in _states(service, volume)]
    findings += _flows(flows, {volume.id for volume in every} | {snapshot.id for snapshot in taken}, busy)
    for backend in service.settings.backends:
        findings += await _backend(service, backend, every, taken)
    findings += await _attachments(service, every)
    return findings


def _finding(invariant: str, subject: str, found: str, mend: str) -> Finding:
    return {"invariant": invariant, "subject": subject, "found": found, "mend": mend}


def _states(service: VolumeService, volume: Volume) -> list[Finding]:
    if not is_overdue(volume, service.runtime.now()):
        return []
    return [_finding(
        "no transitional state past its deadline", volume.id, f"{volume.status} since {volume.action_at}",
        "look at 'pileus flows', or reset the volume's state",
    )]  # fmt: skip


def _flows(flows: Sequence[FlowRecord], alive: set[str], busy: Sequence[Volume]) -> list[Finding]:
    """Volumes with work in flight have a flow, open flows have a volume."""
    found, working = [], set()
    for record in flows:
        working.add(record.subject)
        if record.state == STUCK:
            found.append(_finding(
                "no flow is stuck", record.id, f"{record.name} of {record.subject}",
                f"pileus flows resume {record.id}, or abandon",
            ))  # fmt: skip
        elif record.subject not in alive:
            found.append(_finding(
                "every flow has its volume", record.id, f"{record.name} of {record.subject}, which is gone",
                f"pileus flows abandon {record.id}",
            ))  # fmt: skip
    for volume in busy:
        if volume.id not in working:
            found.append(_finding(
                "an accepted request is not lost", volume.id, f"{volume.status} and no flow works on it",
                "reset the volume's state, or delete it by force",
            ))  # fmt: skip
    return found


async def _backend(service: VolumeService, backend: str, every: list[Volume], taken: list[Snapshot]) -> list[Finding]:
    """What a back end holds are the volumes of that back end and their snapshots."""
    try:
        held = {one["volume_id"]: one for one in await service.hosts.volumes(backend)}
    except Error as error:
        return [_finding("every back end answers", backend, error.text, "start the volume-host of this back end")]
    here = {volume.id: volume for volume in every if volume.backend == backend}
    found = [
        _finding(
            "no data without a volume", volume_id, f"{held[volume_id]['size_gib']} GiB in {backend}",
            f"remove it from the back end {backend} by hand, if no backup of the database knows it",
        )
        for volume_id in held.keys() - here.keys() - {snapshot.id for snapshot in taken}
    ]  # fmt: skip
    for volume in here.values():
        if volume.action is not None or volume.status not in HOLDS_DATA:
            continue
        there = held.get(volume.id)
        if there is None:
            found.append(_finding(
                "every volume has its data", volume.id, f"nothing in {backend}", "restore it from a backup"
            ))  # fmt: skip
        elif there["size_gib"] < volume.size_gib:
            found.append(_finding(
                "a volume is as large as promised", volume.id, f"{there['size_gib']} GiB in {backend}",
                "extend the volume",
            ))  # fmt: skip
    for snapshot in taken:
        if snapshot.backend == backend and snapshot.status is SnapshotStatus.AVAILABLE and snapshot.id not in held:
            found.append(_finding(
                "every snapshot has its data", snapshot.id, f"nothing in {backend}", "delete the snapshot"
            ))  # fmt: skip
    return found


async def _attachments(service: VolumeService, every: list[Volume]) -> list[Finding]:
    """No attachment whose server is gone or does not know it."""
    found = []
    authority = service.own_authority()
    before = service.runtime.now() - LET_GO_S * 1_000_000
    for volume in every:
        for held in volume.attachments:
            if held.status is AttachStatus.DETACHED and held.changed_at < before:
                found.append(_finding(
                    "no attachment stays let go", held.id, f"volume {volume.id} is being detached for long",
                    f"openstack --os-volume-api-version 3.27 volume attachment delete {held.id}",
                ))  # fmt: skip
            if held.status is not AttachStatus.ATTACHED or held.server_id is None:
                continue
            try:
                is_known = await service.servers.has_attachment(held.server_id, volume.id, held.id, authority)
            except Error as error:
                return [*found, _finding("compute answers", held.server_id, error.text, "pileus status")]
            if not is_known:
                found.append(_finding(
                    "no attachment whose owner is gone", held.id, f"server {held.server_id} has not volume {volume.id}",
                    f"openstack --os-volume-api-version 3.27 volume attachment delete {held.id}",
                ))  # fmt: skip
    return found
