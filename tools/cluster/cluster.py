"""A whole cluster on one machine: brought up, looked at, taken down. Each step may be repeated; what is so stays so."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pileus.foundation.runtime import Runtime
from tools.cluster import libvirt, parts
from tools.cluster.authority import Authority
from tools.cluster.nodes import Failed, Node, Process, check_free, join, lay, leave, plug, wait_until
from tools.cluster.parts import CONTROL, WIRE, Member, Shape
from tools.cluster.services import Postgres, Proxy, Rabbit, password_in

ROOT = Path(__file__).resolve().parents[2]
READY = b"Pileus serves "
FACTS = "cluster.json"


def say(words: str) -> None:
    print(f"pileus: {words}", flush=True)


class Cluster:
    """The cluster whose everything is below `directory`."""

    def __init__(self, directory: Path, shape: Shape):
        self.directory, self.shape = directory, shape
        self.authority = Authority(directory / "tls")
        self.link = "plc-" + hashlib.blake2b(str(directory).encode(), digest_size=4).hexdigest()
        self._runtime = Runtime("cluster")
        self.nodes = {name: Node(directory, name, mounts=self._mounts(name)) for name in (WIRE, *shape.addresses)}
        control = self.nodes[CONTROL]
        self.postgres = Postgres(directory, control, shape.control, shape.network, self.authority)
        self.rabbit = Rabbit(directory, control, shape.control, self.authority, shape.hosts * shape.fakes)
        self.proxy = Proxy(directory, control, shape.control, self.authority)
        self.members = {member.name: member for member in parts.members(shape)}
        self.processes = {name: self._process(member) for name, member in self.members.items()}

    @property
    def state_dir(self) -> Path:
        """Of the control plane: what `pileus status --state` is given."""
        return self.directory / CONTROL

    def _mounts(self, node: str) -> dict[str, str]:
        is_real = self.shape.hypervisor == "libvirt" and node in self.shape.host_names
        return libvirt.mounts(self.directory, node) if is_real else {}

    def _config(self, name: str) -> Path:
        return self.directory / "etc" / f"{name}.toml"

    def _process(self, member: Member) -> Process:
        argv = [sys.executable, "-m", "pileus", "serve", member.part, "--name", member.name]
        argv += ["--config", str(self._config(member.config))] + (["--port", str(member.port)] if member.port else [])
        return Process(self.directory, self.nodes[member.node], member.name, argv, env={"PYTHONPATH": str(ROOT)})

    # -- up -------------------------------------------------------------------------------------------------------
    def up(self) -> None:
        """When it returns, every part answers. Raises: Failed."""
        check_free(self.link, self.shape.network)
        for name in ("log", "run", "etc", "secrets"):
            (self.directory / name).mkdir(mode=0o700 if name == "secrets" else 0o755, parents=True, exist_ok=True)
        (self.directory / FACTS).write_text(json.dumps(vars(self.shape)))
        self.directory.chmod(0o711)  # PostgreSQL and RabbitMQ have to come to what is theirs in it
        self._lay_wire()
        self.authority.ensure()
        for name, address in self.shape.addresses.items():
            self.authority.issue(name, [address, name, "localhost"])
        say("starting PostgreSQL and RabbitMQ")
        self._start_stores()
        self._prepare()
        say(f"starting {len(self.members)} processes of Pileus, and HAProxy before them")
        self.start(name for name, member in self.members.items() if member.node == CONTROL)
        self.proxy.start(parts.copies(self.shape), parts.PATHS, "operations")
        self._await_copies()
        if self.shape.hypervisor == "libvirt":
            for name in self.shape.host_names:
                libvirt.start(self.directory, self.nodes[name])
        self.start(name for name, member in self.members.items() if member.node != CONTROL)

    def _lay_wire(self) -> None:
        for node in self.nodes.values():
            node.up()
        wire = self.nodes[WIRE]
        lay(wire)
        for name, address in self.shape.addresses.items():
            plug(wire, self.nodes[name], address, 24)
        join(wire, self.link, self.shape.machine, 24)

    def _start_stores(self) -> None:
        secrets, shape = self.directory / "secrets", self.shape
        database = password_in(secrets / "database", self._runtime)
        accounts = ["pileus", *(f"host.{name}" for name in shape.workers)]
        passwords = {account: password_in(secrets / f"bus.{account}", self._runtime) for account in accounts}
        held = {name: shape.backends_of(name) for name in shape.workers}
        with ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(self.postgres.start, database),
                pool.submit(self.rabbit.start, passwords, held, self._runtime),
            ]
            for done in waiting:
                done.result()

    def _prepare(self) -> None:
        """Configurations, tables, accounts."""
        for name, document in parts.configurations(self.shape, self.directory).items():
            self._config(name).write_text(parts.toml(document))
        control = ["--config", str(self._config(CONTROL))]
        self.pileus("db", "upgrade", *control)
        for name in self.shape.workers:
            out = self.directory / "secrets" / f"{name}.json"
            if not out.exists():
                self.pileus("enroll", name, *control, "--out", str(out))

    def pileus(self, *argv: str) -> str:
        """A command of Pileus, on the node of the control plane."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return self.nodes[CONTROL].run(sys.executable, "-m", "pileus", *argv, env=env)

    def start(self, names: Iterable[str]) -> None:
        """Start what of these does not run, and wait until all are ready. Raises: Failed."""
        began = {}
        for name in names:
            process = self.processes[name]
            size = process.log.stat().st_size if process.log.exists() else 0
            if process.start():
                began[process] = size
        for process, size in began.items():
            process.wait_until(lambda process=process, size=size: _says(process.log, size), "is ready")  # type: ignore[misc]

    def _await_copies(self) -> None:
        def all_are_up() -> bool:
            states = self.proxy.states()
            return all(states.get(name, ("", 0))[0] == "UP" for name, member in self.members.items() if member.port)

        self.proxy.process.wait_until(all_are_up, "sees every copy")

    # -- one process ----------------------------------------------------------------------------------------------
    def drain(self, name: str) -> None:
        """Have the proxy send a copy nothing new, and wait until it has answered what it has."""
        member = self.members[name]
        if member.port and self.proxy.process.pid:
            self.proxy.set_state(member.part, name, "drain")
            wait_until(lambda: self.proxy.states().get(name, ("", 0))[1] == 0, f"{name} has answered what it has")

    def restart(self, name: str) -> None:
        """Another process in its place, without a request lost. Raises: Failed."""
        self.drain(name)
        self.processes[name].stop()
        self.start([name])
        member = self.members[name]
        if member.port:
            self.proxy.set_state(member.part, name, "ready")
            wait_until(lambda: self.proxy.states().get(name, ("", 0))[0] == "UP", f"{name} is among the copies again")

    # -- looking --------------------------------------------------------------------------------------------------
    def states(self) -> Mapping[str, str]:
        """By process: "up", or "down"."""
        found = {"postgres": self.postgres.process, "rabbitmq": self.rabbit.process, "haproxy": self.proxy.process}
        return {name: "up" if process.pid else "down" for name, process in {**found, **self.processes}.items()}

    # -- down -----------------------------------------------------------------------------------------------------
    def down(self) -> None:
        """Stop everything, the hosts first and the stores last; nothing of it stays but the directory."""
        try:
            self._end_orderly()
        except Failed as failure:  # whatever it is, the nodes' end is everybody's
            say(f"not everything ended in order: {failure}")
        for node in self.nodes.values():
            node.down()
        leave(self.link)
        shutil.rmtree(self.directory / "run", ignore_errors=True)

    def _end_orderly(self) -> None:
        if not self.nodes[CONTROL].pid:
            return
        workers = [name for name, member in self.members.items() if member.node != CONTROL]
        for names in (workers, [name for name in self.members if name not in workers]):
            with ThreadPoolExecutor(max_workers=len(names)) as pool:
                list(pool.map(lambda name: self.processes[name].stop(), names))
        self.proxy.stop()
        self.rabbit.stop()
        self.postgres.stop()


def _says(log: Path, begin: int) -> bool:
    """Whether a process has said that it is ready, behind what earlier ones said."""
    with log.open("rb") as file:
        file.seek(begin)
        return READY in file.read()


def find(directory: Path) -> Cluster | None:
    """The cluster that was made there; None when none was, or none came so far."""
    facts = directory / FACTS
    return Cluster(directory, Shape(**json.loads(facts.read_text()))) if facts.exists() else None


def remove(directory: Path) -> None:
    """Forget everything of a cluster that is down. Raises: Failed."""
    if any(Node(directory, path.stem).pid for path in directory.glob("nodes/*.json")):
        raise Failed(f"the cluster in {directory} runs: run 'make cluster-down' first")
    shutil.rmtree(directory, ignore_errors=True)
