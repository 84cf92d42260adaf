"""Which processes of Pileus a cluster has, on which node, and the configuration of each, as data."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATHS = {
    "identity": "identity", "image": "image", "networking": "network", "volume": "volume", "placement": "placement",
    "compute": "compute-api", "pileus": "operations",
}  # fmt: skip
"""By the first segment of a path: the part that answers there."""
WITHOUT_LISTENER = ("scheduler", "conductor")
COPIES = 2
FIRST_PORT = 8801
CONTROL, VOLUMES, WIRE = "control", "volumes", "wire"
BACKENDS = {"fake": "fake", "libvirt": "file"}
Document = dict[str, dict[str, Any] | str]


@dataclass(frozen=True)
class Shape:
    """What a cluster was made as; a later start goes on with the same. `prefix` begins the addresses of its /24."""

    prefix: str = "198.18.77."
    hypervisor: str = "fake"
    hosts: int = 3
    fakes: int = 1
    """Fake hosts in each process of compute-host; several speak with the control plane's account, having no own."""

    @property
    def network(self) -> str:
        return f"{self.prefix}0/24"

    @property
    def machine(self) -> str:
        return f"{self.prefix}1"

    @property
    def control(self) -> str:
        return f"{self.prefix}2"

    @property
    def url(self) -> str:
        return f"https://{self.control}"

    @property
    def host_names(self) -> list[str]:
        return [f"host-{number}" for number in range(1, self.hosts + 1)]

    @property
    def workers(self) -> list[str]:
        """The nodes without a database: each has an account of its own."""
        return [VOLUMES, *self.host_names]

    @property
    def addresses(self) -> dict[str, str]:
        """By node."""
        hosts = {name: f"{self.prefix}{10 + number}" for number, name in enumerate(self.host_names, 1)}
        return {CONTROL: self.control, VOLUMES: f"{self.prefix}3", **hosts}

    def backends_of(self, worker: str) -> list[str]:
        """The volume back ends that a node holds."""
        return [BACKENDS[self.hypervisor]] if worker == VOLUMES else []


@dataclass(frozen=True)
class Member:
    """One process of Pileus; `port` is 0 when no client asks it, `config` the name of its configuration."""

    name: str
    part: str
    node: str
    config: str
    port: int = 0


def members(shape: Shape) -> Iterator[Member]:
    """Two copies of everything that holds no state, and what has a node of its own."""
    port = FIRST_PORT
    for part in PATHS.values():
        for copy in range(1, COPIES + 1):
            config = second_operations() if part == "operations" and copy > 1 else CONTROL
            yield Member(f"{part}-{copy}", part, CONTROL, config, port)
            port += 1
    for part in WITHOUT_LISTENER:
        for copy in range(1, COPIES + 1):
            yield Member(f"{part}-{copy}", part, CONTROL, CONTROL)
    yield Member("volume-host", "volume-host", VOLUMES, VOLUMES)
    for name in shape.host_names:
        yield Member(f"compute-{name}", "compute-host", name, name)


def second_operations() -> str:
    """The configuration of the second copy: a state directory with an owner's socket has one owner."""
    return "operations-2"


def copies(shape: Shape) -> dict[str, dict[str, int]]:
    """What the proxy has behind it: ports by copy, by part."""
    found: dict[str, dict[str, int]] = {}
    for member in members(shape):
        if member.port:
            found.setdefault(member.part, {})[member.name] = member.port
    return found


# -- configuration ------------------------------------------------------------------------------------------------
def configurations(shape: Shape, directory: Path) -> dict[str, Document]:
    """Every configuration by its name."""
    control = _control(shape, directory)
    second = {**control, "state_dir": str(directory / second_operations())}
    hosts = {name: _host(shape, directory, name) for name in shape.host_names}
    return {CONTROL: control, second_operations(): second, VOLUMES: _volumes(shape, directory), **hosts}


def _common(shape: Shape, directory: Path, node: str, account: str) -> Document:
    tls, secrets = directory / "tls", directory / "secrets"
    return {
        "state_dir": str(directory / node),
        "cloud": {"url": shape.url},
        "tls": {"certificate": f"{tls}/{node}.pem", "key": f"{tls}/{node}.key", "authority": f"{tls}/ca.pem"},
        "bus": {"url": f"amqps://{account}@{shape.control}:5671/", "password_file": f"{secrets}/bus.{account}"},
    }


def _control(shape: Shape, directory: Path) -> Document:
    """Of every process of the control plane; their ports come by the command line."""
    secrets = directory / "secrets"
    return {
        **_common(shape, directory, CONTROL, "pileus"),
        "listen": {"address": shape.control},
        "database": {"url": f"postgresql://pileus@{shape.control}/pileus", "password_file": f"{secrets}/database"},
        "secrets": {"file": str(directory / CONTROL / "secrets.json")},
        "host": {"hypervisor": shape.hypervisor},
        "volume": {"backends": shape.backends_of(VOLUMES)},
    }


def _worker(shape: Shape, directory: Path, node: str) -> Document:
    common = _common(shape, directory, node, f"host.{node}")
    return {**common, "secrets": {"file": str(directory / "secrets" / f"{node}.json")}}


def _host(shape: Shape, directory: Path, node: str) -> Document:
    own = {"host_name": node, "hypervisor": shape.hypervisor}
    if shape.fakes == 1:
        return {**_worker(shape, directory, node), "host": own | {"tunnel_address": shape.addresses[node]}}
    secrets = {"file": str(directory / CONTROL / "secrets.json")}
    return {**_common(shape, directory, node, "pileus"), "secrets": secrets, "host": own | {"hosts": shape.fakes}}


def _volumes(shape: Shape, directory: Path) -> Document:
    (backend,) = shape.backends_of(VOLUMES)
    return {
        **_worker(shape, directory, VOLUMES),
        "host": {"host_name": VOLUMES},
        "volume_host": {"backend": backend, "directory": str(directory / VOLUMES / "data")},
    }


def toml(document: Mapping[str, Any]) -> str:
    """As TOML: strings, numbers and lists of them are written as JSON writes them."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in document.items() if not isinstance(value, dict)]
    for name, section in document.items():
        if isinstance(section, dict):
            lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"
