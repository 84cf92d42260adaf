"""Whether a project's quota has room, asked inside the transaction that takes it."""

from collections.abc import Mapping

from pileus.foundation.database import Transaction
from pileus.volume.domain import quota
from pileus.volume.domain.volume import Volume
from pileus.volume.store import quotas, volumes


async def quota_of_type(tx: Transaction, volume: Volume) -> None:
    """Refuse a volume that comes to a type whose own limits have no room. Raises: OverQuota's kinds (413)."""
    limits = await quotas.limits(tx, volume.project_id)
    used = await volumes.used(tx, volume.project_id, {volume.type_id: volume.type_name})
    own = {name: limit for name, limit in limits.items() if name.endswith(f"_{volume.type_name}")}
    quota.check(own, used, {"volumes": 1, "gigabytes": volume.size_gib}, volume.type_name)


async def within_quota(tx: Transaction, volume: Volume, asked: Mapping[str, int]) -> None:
    """Refuse what does not fit beside what the volume's project has.

    Raises: OverQuota's kinds (413), SizeExceedsLimit (400).
    """
    await tx.lock("quota", volume.project_id, "volumes")
    limits = await quotas.limits(tx, volume.project_id)
    quota.check_size(limits, volume.grows_to or volume.size_gib)
    used = await volumes.used(tx, volume.project_id, {volume.type_id: volume.type_name})
    quota.check(limits, used, asked, volume.type_name)
