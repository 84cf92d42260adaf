"""Wires that exist only in memory: the same promises as real ones, for clouds without root, at microseconds a port.

Given a state directory it keeps what it has in a file there that survives a kill -9, as devices survive their maker.
It obeys the same checks, and tests and rehearsals can damage it: what is lost is then reported and repaired as usual.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import NetworkPlan, PluggedPort, PortPlan
from pileus.network.drivers.base import (
    BackendFailed,
    HostFacts,
    NetworkAbsent,
    NetworkFact,
    PortFact,
    StaleBinding,
    bridge_name,
    tap_name,
)
from pileus.network.drivers.check import check_network, check_port

_SPARE_RECORDS = 1000


class _Record(msgspec.Struct, array_like=True):
    """One change: a network or a port that now is so, or (with neither) no longer is."""

    id: str
    network: NetworkPlan | None = None
    port: PortPlan | None = None


class FakeBackend:
    """A `NetworkBackend` without a wire."""

    def __init__(self, runtime: Runtime, *, hostname: str, state_dir: Path | None, options: Mapping[str, object]):
        self._runtime = runtime
        self._hostname = hostname
        self._path = state_dir / "fake-network" if state_dir is not None else None
        self._encode = msgspec.json.Encoder().encode
        self._fd = -1
        self._records = 0
        self._networks: dict[str, NetworkPlan] = {}
        self._ports: dict[str, PortPlan] = {}
        self._problems: dict[str, str] = {}

    async def open(self) -> None:
        if self._path is not None and self._path.exists():
            self._replay(self._path.read_bytes())
            self._compact()

    async def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    async def observe(self) -> HostFacts:
        self._runtime.check()
        return HostFacts(
            networks=tuple(
                NetworkFact(id=plan.id, plan=plan, problems=self._problems_of(plan.id))
                for plan in self._networks.values()
            ),
            ports=tuple(
                PortFact(
                    id=plan.id,
                    network_id=plan.network_id,
                    tap=tap_name(plan.id),
                    plan=plan,
                    problems=self._problems_of(plan.id),
                )
                for plan in self._ports.values()
            ),
        )

    async def ensure_network(self, plan: NetworkPlan) -> None:
        self._runtime.check()
        check_network(plan)
        self._problems.pop(plan.id, None)
        if self._networks.get(plan.id) != plan:
            self._append(_Record(plan.id, network=plan))
            self._networks[plan.id] = plan

    async def ensure_no_network(self, network_id: str) -> None:
        self._runtime.check()
        for port in [port for port in self._ports.values() if port.network_id == network_id]:
            self._forget(port.id)
        self._forget(network_id)

    async def ensure_port(self, plan: PortPlan) -> PluggedPort:
        self._runtime.check()
        check_port(plan)
        network = self._networks.get(plan.network_id)
        if network is None:
            raise NetworkAbsent(network_id=plan.network_id, port_id=plan.id)
        known = self._ports.get(plan.id)
        self._check_epoch(plan.id, plan.epoch)
        self._problems.pop(plan.id, None)
        if known != plan:
            self._append(_Record(plan.id, port=plan))
            self._ports[plan.id] = plan
        return PluggedPort(
            port_id=plan.id, network_id=network.id, tap=tap_name(plan.id), bridge=bridge_name(network.id),
            mtu=network.mtu,
        )  # fmt: skip

    async def ensure_no_port(self, port_id: str, *, epoch: int | None = None) -> None:
        self._runtime.check()
        if epoch is not None:
            self._check_epoch(port_id, epoch)
        self._forget(port_id)

    def metadata_namespace(self, network_id: str) -> str:
        return ""

    # -- rehearsal ------------------------------------------------------------------------------------------------
    def damage(self, id: str, problem: str) -> None:
        """Let something of a network or port be wrong until it is ensured again."""
        self._problems[id] = problem

    # -- memory and file ------------------------------------------------------------------------------------------
    def _problems_of(self, id: str) -> tuple[str, ...]:
        return (self._problems[id],) if id in self._problems else ()

    def _check_epoch(self, port_id: str, epoch: int) -> None:
        known = self._ports.get(port_id)
        if known is not None and epoch < known.epoch:
            raise StaleBinding(port_id=port_id, epoch=epoch, newest=known.epoch)

    def _forget(self, id: str) -> None:
        self._problems.pop(id, None)
        if id in self._ports or id in self._networks:
            self._append(_Record(id))
            self._ports.pop(id, None)
            self._networks.pop(id, None)

    def _replay(self, raw: bytes) -> None:
        """Take every whole line; a torn last one never happened."""
        decode = msgspec.json.Decoder(_Record).decode
        for line in raw.split(b"\n")[:-1]:
            record = decode(line)
            self._networks.pop(record.id, None)
            self._ports.pop(record.id, None)
            if record.network is not None:
                self._networks[record.id] = record.network
            elif record.port is not None:
                self._ports[record.id] = record.port

    def _append(self, record: _Record) -> None:
        if self._path is None:
            return
        if self._records > 2 * (len(self._networks) + len(self._ports)) + _SPARE_RECORDS:
            self._compact()
        if self._fd < 0:
            self._open_file(self._path)
        self._write(self._encode(record) + b"\n")
        self._records += 1

    def _open_file(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _write(self, line: bytes) -> None:
        """All of the line or nothing of it."""
        end = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            reason: Any = "short write"
        except OSError as failure:
            written, reason = 0, failure
        if written != len(line):
            os.ftruncate(self._fd, end)
            raise BackendFailed(action="keep a port", log=f"{self._path}: {reason}")

    def _compact(self) -> None:
        """Write what is there to a new file and put it in the old one's place."""
        assert self._path is not None
        records = [_Record(plan.id, network=plan) for plan in self._networks.values()]
        records += [_Record(port.id, port=port) for port in self._ports.values()]
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(b"".join(self._encode(record) + b"\n" for record in records))
        except OSError:  # no room for two files: the long one serves on
            fresh.unlink(missing_ok=True)
            return
        fresh.chmod(0o600)
        fresh.rename(self._path)
        if self._fd >= 0:
            os.close(self._fd)
        self._open_file(self._path)
        self._records = len(records)
