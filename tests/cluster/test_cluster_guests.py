"""`make cluster HYPERVISOR=libvirt`: real guests on different hosts, one network between them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus.demo import KEY
from pileus.network.drivers.base import dhcp_namespace, tunnel_name
from tests.cluster.trial import Trial, inhabitants, until, why_not
from tests.contract.hypervisors.private_libvirt import why_not as why_no_libvirt
from tests.contract.networks.machine import private_machine

LACKS = why_not() or why_no_libvirt()
pytestmark = [pytest.mark.machine, pytest.mark.guest, pytest.mark.skipif(bool(LACKS), reason=LACKS)]
HOSTS = ("host-1", "host-2", "host-3")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, guest_image: Path) -> Iterator[Trial]:
    trial = Trial(tmp_path_factory.mktemp("guests"))
    with private_machine():
        try:
            trial.tool("up", "--hypervisor", "libvirt", "--no-demo")
            cache = trial.state / "control" / "cache"
            cache.mkdir()
            shutil.copy(guest_image, cache)
            trial.make("cluster")
            yield trial
        finally:
            trial.make("cluster-down", "CLEAN=1")


def address(server: Any) -> str:
    return str(server["addresses"]["demo"][0]["addr"])


def test_guests_on_two_hosts_reach_each_other_until_one_is_gone(cluster: Trial) -> None:
    rest = cluster.rest()
    (known,) = rest.get("compute", "/servers/detail", version="2.74")["servers"]
    here = known["OS-EXT-SRV-ATTR:host"]
    there, idle = (host for host in HOSTS if host != here)
    other = cluster.launch("other", there, key_name=KEY)
    network = rest.get("network", "/networks", query={"name": "demo"})["networks"][0]["id"]
    tunnel = tunnel_name(network)

    def devices(host: str) -> str:
        return cluster.tool("enter", host, "ip", "-br", "link")

    ssh = (
        "ip", "netns", "exec", dhcp_namespace(network), "ssh", "-i", str(cluster.state / "control" / "demo-key"),
        "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
        "-o", "ConnectTimeout=3", f"cirros@{address(known)}",
    )  # fmt: skip

    def ping() -> bool:
        try:
            return " 0% packet loss" in cluster.tool(
                "enter", here, *ssh, "ping", "-c", "2", "-s", "1422", address(other)
            )
        except AssertionError:  # it still boots
            return False

    assert until(ping, "the other guest answers")
    assert (tunnel in devices(here), tunnel in devices(there), tunnel in devices(idle)) == (True, True, False)
    assert "Clean" in cluster.pileus("audit")
    rest.send("compute", "DELETE", f"/servers/{other['id']}")
    until(lambda: tunnel not in devices(here) and "br-" not in devices(there), "the tunnel is gone")
    assert until(lambda: "Clean" in cluster.pileus("audit"), "the books are right")


def test_down_ends_guests_too(cluster: Trial) -> None:
    spaces = cluster.spaces()
    assert inhabitants(spaces)
    cluster.make("cluster-down")
    assert inhabitants(spaces) == []
