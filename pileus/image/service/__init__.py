"""The image service's own objects, made once by the wiring and handed to every use case."""

from dataclasses import dataclass

import msgspec

from pileus.foundation.database import Database
from pileus.foundation.runtime import Runtime
from pileus.image.domain.image import Limits
from pileus.image.drivers.base import ImageStore


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about images."""

    limits: Limits = Limits()
    identity_url: str = ""  # where a 401 sends its reader; empty: beside us, under the same address
    import_methods: tuple[str, ...] = ()
    page_default: int = 25
    page_most: int = 1000
    beat_s: float = 10.0  # how often an upload says that it lives
    abandoned_after_s: float = 600.0  # an upload that said nothing for so long is given up


@dataclass(frozen=True)
class ImageService:
    """Everything a use case of images may need."""

    database: Database
    store: ImageStore
    runtime: Runtime
    settings: ImageSettings

    @property
    def limits(self) -> Limits:
        return self.settings.limits
