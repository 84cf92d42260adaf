"""All settings of a cloud, as one tree: the sections of both shapes, those of the wings, those of many processes."""

from pathlib import Path
from typing import Annotated

import msgspec

from pileus.compute.service import ComputeSettings
from pileus.foundation.config import meaning
from pileus.identity.app.settings import Settings as IdentitySettings
from pileus.image.service import ImageSettings
from pileus.network.app.service import NetworkSettings
from pileus.settings import CloudSection, HostSection, ListenSection, StateDir
from pileus.volume.service import VolumeSettings


class DatabaseSection(msgspec.Struct, frozen=True, kw_only=True):
    """The database of the control plane; hosts have none."""

    url: Annotated[
        str,
        meaning(
            'Where it is: "postgresql://pileus@10.0.0.5/pileus", or "sqlite:///var/lib/pileus/pileus.db" for processes '
            "of one machine. A password does not belong here, unless only the owner can read this file."
        ),
    ] = ""
    password_file: Annotated[
        str, meaning("A file of mode 0600 with the password; the environment does as well: PILEUS_DATABASE__URL.")
    ] = ""


class BusSection(msgspec.Struct, frozen=True, kw_only=True):
    """The bus between the parts."""

    url: Annotated[
        str,
        meaning(
            'Where it is: "amqp://pileus@10.0.0.6/pileus" or amqps, or "hub:///run/pileus/bus.sock" for processes of '
            "one machine. A password does not belong here, unless only the owner can read this file."
        ),
    ] = ""
    password_file: Annotated[
        str, meaning("A file of mode 0600 with the password; the environment does as well: PILEUS_BUS__URL.")
    ] = ""


class TlsSection(msgspec.Struct, frozen=True, kw_only=True):
    """Encryption of every connection: with a certificate this process answers nobody who comes without TLS."""

    certificate: Annotated[str, meaning("The certificate of this process (PEM, its chain behind it).")] = ""
    key: Annotated[str, meaning("Its key (PEM), of mode 0600.")] = ""
    authority: Annotated[
        str,
        meaning(
            "Whose certificates are believed (PEM). With it the database and the bus must be reached by TLS, too. "
            "Empty: those that the system believes."
        ),
    ] = ""


class SecretsSection(msgspec.Struct, frozen=True, kw_only=True):
    """Keys and service accounts."""

    file: Annotated[
        str,
        meaning(
            "A file of mode 0600: of the control plane as 'pileus db upgrade' made it, of a host as 'pileus enroll' "
            "did. Empty: secrets.json in the state directory."
        ),
    ] = ""


class ServicesSection(msgspec.Struct, frozen=True, kw_only=True):
    """Where other parts reach a service, if not at cloud.url: "http://10.0.0.7:8801". Clients see the catalog."""

    identity: Annotated[str, meaning("The address of identity.")] = ""
    compute: Annotated[str, meaning("The address of compute-api.")] = ""
    image: Annotated[str, meaning("The address of image.")] = ""
    networking: Annotated[str, meaning("The address of network.")] = ""
    volume: Annotated[str, meaning("The address of volume.")] = ""
    placement: Annotated[str, meaning("The address of placement.")] = ""
    pileus: Annotated[str, meaning("The address of operations.")] = ""


class VolumeHostSection(msgspec.Struct, frozen=True, kw_only=True):
    """The back end that this process holds, when it has the part volume-host."""

    backend: Annotated[str, meaning("Its name, one of volume.backends.")] = "file"
    driver: Annotated[str, meaning('The driver: "file" or "fake". Empty: the one of the same name.')] = ""
    directory: Annotated[str, meaning("Where the volumes are. Empty: below the state directory.")] = ""


class MetricsSection(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of this process for Prometheus, for whoever reaches the address."""

    address: Annotated[str, meaning("The address to answer on.")] = "127.0.0.1"
    port: Annotated[int, meaning("The port to answer on; 0: nowhere.")] = 0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may be set."""

    state_dir: StateDir = Path("/var/lib/pileus")
    cloud: CloudSection = CloudSection()
    listen: ListenSection = ListenSection()
    tls: TlsSection = TlsSection()
    database: DatabaseSection = DatabaseSection()
    bus: BusSection = BusSection()
    secrets: SecretsSection = SecretsSection()
    services: ServicesSection = ServicesSection()
    metrics: MetricsSection = MetricsSection()
    host: HostSection = HostSection()
    volume_host: VolumeHostSection = VolumeHostSection()
    identity: IdentitySettings = IdentitySettings()
    image: ImageSettings = ImageSettings()
    network: NetworkSettings = NetworkSettings()
    volume: VolumeSettings = VolumeSettings()
    compute: ComputeSettings = ComputeSettings()
