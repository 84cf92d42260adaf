"""Volume types: what kinds of volumes there are."""

import msgspec

DEFAULT_TYPE_ID = "0b2c5d3e-7c1f-4d0a-9f54-6f0a1c2b3d4e"
"""The type `__DEFAULT__`, which every cloud has from its first day."""
SPECS_FOR_ALL = frozenset({"multiattach", "RESKEY:availability_zones", "replication_enabled"})
"""What a user may see of a type: the rest tells of the back end."""


class VolumeType(msgspec.Struct, frozen=True, kw_only=True):
    """One type. Times are UTC microseconds."""

    id: str
    name: str
    description: str | None = None
    is_public: bool = True
    specs: dict[str, str] = {}
    created_at: int = 0
    updated_at: int | None = None
