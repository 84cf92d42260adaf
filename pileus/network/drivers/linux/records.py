"""What this host was told to wire, kept as files beside dnsmasq's: a restarted process knows its ports by them.

They are as short-lived as devices are: under /run, gone with the next boot. A record is written before its device is
made and removed after it, so nothing of ours can stay without one.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pileus.network.domain.data_plane import NetworkPlan, PortPlan
from pileus.network.drivers.linux.dnsmasq import HOSTS, NAMES, OPTIONS

_WATCHED = (HOSTS, OPTIONS, NAMES)


class Records:
    """Plans and dnsmasq's files of one host.

    Files for dnsmasq are readable for `group_id`, under which it runs; the plans are for their owner only.
    """

    def __init__(self, root: Path, group_id: int):
        self._root = root / "networks"
        self._group_id = group_id
        self._encode = msgspec.json.Encoder().encode
        self._network = msgspec.json.Decoder(NetworkPlan).decode
        self._port = msgspec.json.Decoder(PortPlan).decode
        self._network_of: dict[str, str] = {}

    def open(self) -> None:
        """Make the directory and learn which port belongs where."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o755)
        for network_id in self.network_ids():
            self._network_of.update(dict.fromkeys(self.port_ids(network_id), network_id))

    # -- networks -------------------------------------------------------------------------------------------------
    def directory(self, network_id: str) -> Path:
        return self._root / network_id

    def network_ids(self) -> list[str]:
        return sorted(os.listdir(self._root))

    def find_network(self, network_id: str) -> NetworkPlan | None:
        raw = _read(self.directory(network_id) / "plan")
        return self._network(raw) if raw is not None else None

    def save_network(self, plan: NetworkPlan) -> None:
        directory = self.directory(plan.id)
        self._make_directories(directory)  # a part of them may be all that an earlier process came to
        self._write(directory / "plan", self._encode(plan), 0o600)

    def _make_directories(self, directory: Path) -> None:
        for path in (directory, *(directory / name for name in _WATCHED)):
            path.mkdir(mode=0o750, exist_ok=True)
            os.chown(path, -1, self._group_id)
        (directory / "ports").mkdir(mode=0o700, exist_ok=True)

    def forget_network(self, network_id: str) -> None:
        for port_id in self.port_ids(network_id):
            self._network_of.pop(port_id, None)
        if self.directory(network_id).exists():
            shutil.rmtree(self.directory(network_id))

    def configuration(self, network_id: str) -> str:
        """What dnsmasq was last told; "" when nothing."""
        return (_read(self.directory(network_id) / "dnsmasq.conf") or b"").decode()

    def save_configuration(self, network_id: str, text: str) -> None:
        self._make_directories(self.directory(network_id))
        self._write(self.directory(network_id) / "dnsmasq.conf", text.encode(), 0o640)

    # -- ports ----------------------------------------------------------------------------------------------------
    def network_of(self, port_id: str) -> str | None:
        return self._network_of.get(port_id)

    def port_ids(self, network_id: str) -> list[str]:
        path = self.directory(network_id) / "ports"
        return sorted(name for name in os.listdir(path) if name[0] != ".") if path.exists() else []

    def find_port(self, port_id: str) -> PortPlan | None:
        network_id = self._network_of.get(port_id)
        raw = _read(self.directory(network_id) / "ports" / port_id) if network_id is not None else None
        return self._port(raw) if raw is not None else None

    def save_port(self, plan: PortPlan) -> None:
        self._write(self.directory(plan.network_id) / "ports" / plan.id, self._encode(plan), 0o600)
        self._network_of[plan.id] = plan.network_id

    def forget_port(self, port_id: str) -> None:
        network_id = self._network_of.pop(port_id, None)
        if network_id is not None:
            (self.directory(network_id) / "ports" / port_id).unlink(missing_ok=True)

    # -- what dnsmasq watches -------------------------------------------------------------------------------------
    def has_files(self, network_id: str, port_id: str, files: Mapping[str, str]) -> bool:
        """Whether dnsmasq's directories hold exactly these texts of the port."""
        directory = self.directory(network_id)
        return all((_read(directory / name / port_id) or b"").decode() == text for name, text in files.items())

    def put_files(self, network_id: str, port_id: str, files: Mapping[str, str]) -> bool:
        """Write them; True when dnsmasq must be told, for it sees by itself only files that are new."""
        must_tell = False
        for name, text in files.items():
            path = self.directory(network_id) / name / port_id
            before = _read(path)
            if (before or b"").decode() == text:
                continue
            must_tell = must_tell or before is not None
            if text:
                self._write(path, text.encode(), 0o640)
            else:
                path.unlink()
        return must_tell

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        """Put a whole file in place at once; the name of the unfinished one is among those dnsmasq skips."""
        fresh = path.with_name(f".{path.name}.new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            if mode & 0o040:
                os.fchown(fd, -1, self._group_id)
            os.write(fd, content)
        finally:
            os.close(fd)
        fresh.rename(path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
