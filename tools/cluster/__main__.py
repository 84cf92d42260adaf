"""tools/cluster: a cluster of Pileus on this machine, as `make cluster` and `make cluster-down` use it.

    python -m tools.cluster up        [--hypervisor fake|libvirt] [--network 198.18.77.0/24] [--hosts 3] [--no-demo]
    python -m tools.cluster down      [--clean]      --clean removes its directory, too
    python -m tools.cluster status
    python -m tools.cluster drain     NAME           the proxy sends this copy nothing new
    python -m tools.cluster restart   NAME...        one after the other: drained, stopped, started, back again;
                                                     "all": every process of Pileus
    python -m tools.cluster enter     NODE COMMAND   run a command on a node: control, volumes, host-1 ...

Everything of it is below --state DIR (.pileus/cluster).
"""

import argparse
import contextlib
import dataclasses
import fcntl
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.cluster import cluster as clusters
from tools.cluster.cluster import ROOT, Cluster, say
from tools.cluster.nodes import Failed
from tools.cluster.parts import Shape

Arguments = argparse.Namespace


def main() -> int:
    arguments = _parse()
    directory = arguments.state.absolute()
    try:
        if os.geteuid() != 0:
            raise Failed("a cluster needs namespaces, and they are root's: run 'make cluster' as root, or install sudo")
        with _alone(directory, arguments.command):
            _COMMANDS[arguments.command](directory, arguments)
    except Failed as failure:
        print(f"pileus: {failure}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _alone(directory: Path, command: str) -> Iterator[None]:
    """Two who change the same cluster come one after the other."""
    if command not in ("up", "down", "restart") or (command != "up" and not directory.exists()):
        yield
        return
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another who changes the cluster in {directory}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if directory.exists() and os.path.samestat(os.fstat(lock), directory.stat()):
                yield
                return
        finally:
            os.close(lock)


def _parse() -> Arguments:
    parser = argparse.ArgumentParser(prog="tools/cluster", description="A cluster of Pileus on this machine.")
    parser.add_argument("--state", type=Path, default=ROOT / ".pileus" / "cluster", help="where everything of it is")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what does not run")
    up.add_argument("--hypervisor", choices=("fake", "libvirt"))
    up.add_argument("--network", type=_prefix, help="a /24 that this machine does not use, for the nodes")
    up.add_argument("--hosts", type=int, choices=range(1, 200), metavar="N")
    up.add_argument("--fakes", type=int, metavar="N", help="fake hosts in each of the processes of hosts, for load")
    up.add_argument("--no-demo", action="store_true", help="without image, flavors, network and first server")
    down = commands.add_parser("down", help="stop everything")
    down.add_argument("--clean", action="store_true", help="remove its directory, too")
    commands.add_parser("status", help="what runs")
    commands.add_parser("drain", help="send a copy nothing new").add_argument("names", nargs=1, metavar="NAME")
    restart = commands.add_parser("restart", help="put other processes in the place of these")
    restart.add_argument("names", nargs="+", metavar="NAME")
    enter = commands.add_parser("enter", help="run a command on a node")
    enter.add_argument("node")
    enter.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser.parse_args()


def _prefix(text: str) -> str:
    network = ipaddress.IPv4Network(text)
    if network.prefixlen != 24:
        raise argparse.ArgumentTypeError("must be a /24, like 198.18.77.0/24")
    return str(network.network_address).rpartition(".")[0] + "."


def _up(directory: Path, arguments: Arguments) -> None:
    known = clusters.find(directory)
    asked = {
        "hypervisor": arguments.hypervisor, "prefix": arguments.network, "hosts": arguments.hosts,
        "fakes": arguments.fakes,
    }  # fmt: skip
    said = {name: value for name, value in asked.items() if value is not None}
    shape = known.shape if known is not None else Shape(**said)
    if dataclasses.replace(shape, **said) != shape:
        raise Failed(f"the cluster in {directory} was made with {shape}: run 'make cluster-down CLEAN=1' first")
    cluster = known or Cluster(directory, shape)
    cluster.up()
    from tools.cluster.demo import show, tell

    if not arguments.no_demo:
        show(cluster)
    tell(cluster)


def _known(directory: Path) -> Cluster:
    found = clusters.find(directory)
    if found is None:
        raise Failed(f"there is no cluster in {directory}: run 'make cluster'")
    return found


def _down(directory: Path, arguments: Arguments) -> None:
    found = clusters.find(directory)
    if found is None:
        say("no cluster was set up here, so nothing runs")
        return
    found.down()
    if arguments.clean:
        clusters.remove(directory)
    say("the cluster is down" + ("; nothing of it is left" if arguments.clean else f"; its state stays in {directory}"))


def _status(directory: Path, arguments: Arguments) -> None:
    found = _known(directory)
    behind = found.proxy.states() if found.nodes["control"].pid else {}
    for name, state in found.states().items():
        proxy = behind.get(name)
        print(f"{name:<20} {state:<6}" + (f" behind the proxy: {proxy[0]}" if proxy else ""))


def _drain(directory: Path, arguments: Arguments) -> None:
    cluster = _known(directory)
    for name in _members(cluster, arguments.names):
        cluster.drain(name)


def _restart(directory: Path, arguments: Arguments) -> None:
    cluster = _known(directory)
    for name in _members(cluster, arguments.names):
        cluster.restart(name)
        say(f"{name} was replaced")


def _members(cluster: Cluster, names: list[str]) -> list[str]:
    if names == ["all"]:
        return list(cluster.members)
    for name in names:
        if name not in cluster.members:
            raise Failed(f"there is no process {name}. There are: {', '.join(cluster.members)}")
    return names


def _enter(directory: Path, arguments: Arguments) -> None:
    nodes = _known(directory).nodes
    if arguments.node not in nodes:
        raise Failed(f"there is no node {arguments.node}. There are: {', '.join(nodes)}")
    argv = [*nodes[arguments.node].enter(), *(arguments.argv or ["bash"])]
    os.execvp(argv[0], argv)  # noqa: S606


_COMMANDS = {"up": _up, "down": _down, "status": _status, "drain": _drain, "restart": _restart, "enter": _enter}

if __name__ == "__main__":
    sys.exit(main())
