"""What a cluster is shown with: image, flavors, networks, a first server; and how to use it, in a file and in words."""

import os
from pathlib import Path
from shlex import quote
from typing import Any

from pileus import credentials
from pileus.demo import SERVER, key_file, show_first_server
from pileus.network.drivers.base import dhcp_namespace
from tools.cluster.cluster import ROOT, Cluster


def show(cluster: Cluster) -> None:
    """Make what is missing of the demo, and show its first server."""
    server, network_id = show_first_server(cluster.state_dir, print)
    if cluster.shape.hypervisor != "fake":
        _tell_login(cluster, server, network_id)


def _tell_login(cluster: Cluster, server: Any, network_id: str) -> None:
    address = next((entry["addr"] for known in server["addresses"].values() for entry in known), "")
    print(f"\nLog in to {SERVER}, from inside its network:")
    print(
        f"    {_program(cluster)} enter {server['OS-EXT-SRV-ATTR:host']} ip netns exec {dhcp_namespace(network_id)} "
        f"ssh -i {quote(str(key_file(cluster.state_dir)))} -o UserKnownHostsFile=/dev/null "
        f"-o StrictHostKeyChecking=no -o LogLevel=ERROR cirros@{address}"
    )


def tell(cluster: Cluster) -> None:
    """Write the credentials and say what to type next, as it stands."""
    openrc = cluster.directory / "openrc"
    openrc.touch(mode=0o600)
    openrc.write_text(credentials.openrc(cluster.state_dir))
    if "SUDO_UID" in os.environ:
        os.chown(openrc, int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "0")))
    here = ROOT / ".venv" / "bin"
    state = f"--state {quote(str(cluster.state_dir))}"
    sudo = "sudo " if "SUDO_UID" in os.environ else ""
    print(f"""
The cluster is up at {cluster.shape.url}. Use it:
    . {quote(_short(openrc))}; export PATH="{here}:$PATH"
    openstack hypervisor list
    openstack server create --image tiny --flavor m1.tiny --network demo --wait mine
    {sudo}{_short(here / "pileus")} status {state}
    {sudo}{_short(here / "pileus")} trace mine {state}
    {sudo}{_short(here / "pileus")} audit {state}
    {_program(cluster)} restart compute-api-1
Logs are in {_short(cluster.directory / "log")}. Take it down: make cluster-down""")


def _program(cluster: Cluster) -> str:
    sudo = "sudo " if "SUDO_UID" in os.environ else ""
    usual = cluster.directory == ROOT / ".pileus" / "cluster"
    return f"{sudo}.venv/bin/python -m tools.cluster" + ("" if usual else f" --state {quote(str(cluster.directory))}")


def _short(path: Path) -> str:
    """As it is typed from the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
