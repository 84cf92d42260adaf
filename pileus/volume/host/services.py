"""What the volume-host of one back end works with, made once by the wiring."""

from dataclasses import dataclass

from pileus.foundation.bus import Bus
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.runtime import Runtime
from pileus.volume.drivers.base import VolumeBackend
from pileus.volume.peers.image import Images


@dataclass(frozen=True)
class HostServices:
    """One back end."""

    name: str  # of the back end, as volumes' rows have it
    host: str  # where it runs
    runtime: Runtime
    bus: Bus
    backend: VolumeBackend
    images: Images
    service_token: OwnToken

    def authority(self, user_token: str = "") -> Authority:
        return Authority(self.service_token, user_token)
