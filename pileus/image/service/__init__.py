"""The image service's own objects, made once by the wiring and handed to every use case."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from pileus.foundation.config import meaning
from pileus.foundation.database import Database
from pileus.foundation.fetch import Fetcher
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.runtime import Runtime
from pileus.image.domain.image import Limits
from pileus.image.drivers.base import ImageStore


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides about images."""

    directory: Annotated[
        str,
        meaning("Where the images' bytes are. Several image processes share one. Empty: below the state directory."),
    ] = ""
    identity_url: Annotated[str, meaning("Where a 401 sends its reader. Empty: beside us, under the same address.")] = (
        ""
    )
    import_methods: Annotated[tuple[str, ...], meaning("How images may be imported.")] = (
        "glance-direct",
        "web-download",
    )
    import_hosts: Annotated[
        tuple[str, ...],
        meaning('Which "host" or "host:port" images may be fetched from though they are not public.'),
    ] = ()
    import_s: Annotated[float, meaning("How long one import may take.")] = 6 * 3600.0
    page_default: Annotated[int, meaning("How many images a list shows that is not asked for a number.")] = 25
    page_most: Annotated[int, meaning("The longest page of a list.")] = 1000
    beat_s: Annotated[float, meaning("How often an upload says that it lives.")] = 10.0
    abandoned_after_s: Annotated[float, meaning("An upload that said nothing for so long is given up.")] = 600.0
    limits: Limits = Limits()


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
