"""What the flows and methods of a host work with, made once by the wiring."""

from dataclasses import dataclass
from pathlib import Path

from pileus.compute.drivers.base import Hypervisor
from pileus.compute.host.guest_documents import GuestDocuments
from pileus.compute.host.image_cache import ImageCache
from pileus.compute.peers.conductor import Conductor
from pileus.compute.peers.image import Images
from pileus.compute.peers.network import Networks
from pileus.compute.peers.volume import Volumes
from pileus.foundation.bus import Bus
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.runtime import Runtime


@dataclass(frozen=True)
class HostServices:
    """One hypervisor host."""

    host: str
    zone: str
    state_dir: Path
    runtime: Runtime
    bus: Bus
    hypervisor: Hypervisor
    conductor: Conductor
    images: Images
    networks: Networks
    volumes: Volumes
    cache: ImageCache
    service_token: OwnToken
    documents: GuestDocuments

    def authority(self, user_token: str = "") -> Authority:
        return Authority(self.service_token, user_token)
