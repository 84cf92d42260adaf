"""Volumes as the accounts of hypervisor hosts are judged by them, whosever they are."""

from pileus.volume.domain.volume import Volume
from pileus.volume.service import VolumeService
from pileus.volume.store import volumes


async def volume(service: VolumeService, volume_id: str) -> Volume:
    """Raises: VolumeNotFound (404)."""
    return await volumes.get(service.database, volume_id)


async def volume_of_attachment(service: VolumeService, attachment_id: str) -> Volume:
    """Raises: AttachmentNotFound (404)."""
    return await volumes.get_by_attachment(service.database, attachment_id)
