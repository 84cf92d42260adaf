"""The image service's own objects, made once by the wiring and handed to every use case."""

from dataclasses import dataclass

import msgspec

from pileus.foundation.database import Database
from pileus.foundation.fetch import Fetcher
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.runtime import Runtime
from pileus.image.domain.image import Limits
from pileus.image.drivers.base import ImageStore


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about images."""

    limits: Limits = Limits()
    identity_url: str = ""  # where a 401 sends its reader; empty: beside us, under the same address
    import_methods: tuple[str, ...] = ("glance-direct", "web-download")
    import_hosts: tuple[
        str, ...
    ] = ()  # "host" or "host:port" that images may be fetched from though they are not public
    import_s: float = 6 * 3600.0  # how long one import may take
    page_default: int = 25
    page_most: int = 1000
    beat_s: float = 10.0  # how often an upload says that it lives
    abandoned_after_s: float = 600.0  # an upload that said nothing for so long is given up


@dataclass(frozen=True)
class Imports:
    """What imports are done with: they go on after the answer, so they are flows."""

    journal: SqlJournal
    runner: Runner
    fetcher: Fetcher


@dataclass(frozen=True)
class ImageService:
    """Everything a use case of images may need."""

    database: Database
    store: ImageStore
    runtime: Runtime
    settings: ImageSettings
    imports: Imports | None = None  # None: nothing is imported here

    @property
    def import_methods(self) -> tuple[str, ...]:
        """The ways in which images can be imported."""
        return self.settings.import_methods if self.imports is not None else ()

    @property
    def limits(self) -> Limits:
        return self.settings.limits
