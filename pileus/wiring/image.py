"""The part image: images and their bytes."""

from pathlib import Path

from pileus.image.api.policy import RULES
from pileus.image.api.routes import API
from pileus.image.app import starting
from pileus.image.drivers.file import FileStore
from pileus.wiring.ground import Ground


class ImagePart:
    """The image service at work."""

    def __init__(self, ground: Ground):
        settings = ground.settings
        directory = Path(settings.image.directory) if settings.image.directory else settings.state_dir / "images"
        store = FileStore(directory, ground.runtime)
        self._ground = ground
        self.service = starting.build(
            ground.database, store, ground.runtime, settings.image, lease_s=settings.cloud.lease_s
        )
        assert self.service.imports is not None
        self.topic, self.runner = starting.TOPIC, self.service.imports.runner
        ground.serve("image", API, self.service, RULES, "image")

    async def start(self) -> None:
        await starting.start(self.service, self._ground.bus, alone=self._ground.is_alone)

    async def stop(self) -> None: ...
