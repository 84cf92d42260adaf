"""What a back end of block storage can do. Every method may be repeated and tolerates that it is done already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec


class VolumeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A volume as it is to be. `metadata` are the user's: a rehearsal reads them."""

    volume_id: str
    size_gib: int
    metadata: dict[str, str] = {}


class ImageSource(Protocol):
    """An image that a volume is to be filled with; a back end takes its data when it needs them."""

    image_id: str
    format: str  # as the image service verified it: "raw", "qcow2" ...
    virtual_size_bytes: int

    async def fetch(self, target: Path) -> None:
        """Write the data into the new file `target`, and check their hash.

        Raises: ImageDamaged, NotFound, Forbidden, Unavailable.
        """
        ...


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """A volume that a back end holds."""

    volume_id: str
    size_gib: int
    is_whole: bool = True  # False: what an interrupted creation left


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    total_gib: int
    free_gib: int


class VolumeBackend(Protocol):
    """One place where volumes are kept. Names of volumes there are derived from their ids."""

    async def open(self) -> None:
        """Find what is there. Raises: BackendUnavailable, BackendFailed."""
        ...

    async def close(self) -> None: ...

    async def ensure_volume(self, spec: VolumeSpec, image: ImageSource | None = None) -> None:
        """Have the volume, whole or not at all: all zeros, or the image's data and then zeros.

        A volume that is there stays as it is. Raises: BackendFull, BackendFailed, ImageRefused, and what `fetch` does.
        """
        ...

    async def ensure_copy(self, spec: VolumeSpec, source_id: str, *, is_live: bool = False) -> None:
        """Have the volume with the data of another one, and then zeros.

        `is_live`: somebody writes to the other one, so that only a copy of one moment will do.
        Raises: NoSuchVolumeThere, BackendFull, CannotCopyLive.
        """
        ...

    async def ensure_no_volume(self, volume_id: str, metadata: Mapping[str, str] | None = None) -> None:
        """Have nothing of the volume, interrupted creations included. Its data are never readable again."""
        ...

    async def extend(self, spec: VolumeSpec) -> None:
        """Let the volume be `size_gib` large; one that is larger stays. Raises: NoSuchVolumeThere, BackendFull."""
        ...

    async def connect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> dict[str, Any]:
        """How the connector's host reaches the volume: `driver_volume_type` and `data`.

        `attachment_id` in the connector tells apart several that reach it from one host. Raises: NoSuchVolumeThere.
        """
        ...

    async def disconnect(self, spec: VolumeSpec, connector: Mapping[str, Any]) -> None: ...

    async def capacity(self) -> Capacity: ...

    async def list_volumes(self) -> list[Volume]: ...
