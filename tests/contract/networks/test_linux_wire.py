"""What real wires do with packets, and what they leave behind: nothing."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.foundation.namespaces import NAMESPACES, in_namespace
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import DhcpOption, FixedIp, NetworkPlan, SubnetPlan
from pileus.network.drivers.base import BackendUnavailable, bridge_name, dhcp_namespace
from pileus.network.drivers.linux import LinuxBackend
from tests.contract.networks.conftest import make_linux, needs_wires
from tests.contract.networks.guest import (
    ACK,
    PATIENCE_S,
    NamespaceGuest,
    Tap,
    ask_dhcp,
    ask_dhcpv6,
    is_answered,
    renew_dhcp,
)
from tests.contract.networks.machine import processes_of, run
from tests.contract.networks.plans import NETWORK, OTHER_NETWORK, SUBNET, port

pytestmark = needs_wires
PORT = port(1)
MAC = PORT.mac
BRIDGE = bridge_name(NETWORK.id)
NO_SUCH_NAME, REFUSED = 3, 5  # DNS answers

Play = Callable[[Callable[[LinuxBackend], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(machine: Runtime, tmp_path: Path, run_dir: Path) -> Play:
    """`play(scene)` opens a backend on a machine of its own, awaits `scene(backend)`, closes it."""

    def act(scene: Callable[[LinuxBackend], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            backend = make_linux(machine, tmp_path, run_dir)
            await backend.open()
            await scene(backend)
            await backend.close()

        asyncio.run(whole())

    return act


def dnsmasq_of(network: NetworkPlan, run_dir: Path) -> list[int]:
    return processes_of(f"--conf-file={run_dir}/networks/{network.id}/dnsmasq.conf")


# -- DHCP ---------------------------------------------------------------------------------------------------------
def test_a_guest_gets_its_address_by_dhcp(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        plugged = await backend.ensure_port(PORT)
        answer = ask_dhcp(Tap(plugged.tap), MAC)
        assert answer is not None
        assert (answer.kind, answer.address) == (ACK, "10.20.30.101")
        assert answer.addresses(1) == ["255.255.255.0"]
        assert answer.addresses(3) == ["10.20.30.1"]
        assert answer.addresses(6) == ["9.9.9.9", "1.1.1.1"]
        assert answer.text(12) == "web-1"
        assert answer.text(15) == "openstacklocal"
        assert int.from_bytes(answer.options[26]) == 1450
        assert int.from_bytes(answer.options[51]) == 86400
        assert answer.routes() == {
            "169.254.169.254/32": "10.20.30.2",
            "192.168.7.0/24": "10.20.30.9",
            "0.0.0.0/0": "10.20.30.1",
        }

    play(scene)


def test_without_gateway_and_name_servers_none_is_invented(play: Play) -> None:
    bare = msgspec.structs.replace(SUBNET, gateway="", host_routes=())
    network = msgspec.structs.replace(NETWORK, subnets=(bare,), dns_domain="lab.example.org")

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(network)
        plugged = await backend.ensure_port(port(1, hostname=""))
        answer = ask_dhcp(Tap(plugged.tap), MAC)
        assert answer is not None
        assert 3 not in answer.options
        assert answer.routes() == {"169.254.169.254/32": "10.20.30.2"}
        assert (answer.text(12), answer.text(15)) == ("host-10-20-30-101", "lab.example.org")

    play(scene)


def test_an_unknown_guest_gets_nothing(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        plugged = await backend.ensure_port(PORT)
        assert not is_answered(Tap(plugged.tap), "fa:16:3e:ff:ff:ff", witness=MAC)

    play(scene)


def test_options_of_one_port_reach_no_other(play: Play) -> None:
    special = port(1, dhcp_options=(DhcpOption(name="bootfile-name", value="http://boot.example/x?a=1"),
                                    DhcpOption(name="66", value="10.20.30.7")))  # fmt: skip

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        first = ask_dhcp(Tap((await backend.ensure_port(special)).tap), special.mac)
        second = ask_dhcp(Tap((await backend.ensure_port(port(2))).tap), port(2).mac)
        assert first is not None
        assert second is not None
        assert (first.text(67).rstrip("\0"), first.text(66).rstrip("\0")) == ("http://boot.example/x?a=1", "10.20.30.7")
        assert 67 not in second.options

    play(scene)


def test_an_option_that_dnsmasq_does_not_know_hurts_nobody(play: Play) -> None:
    strange = port(1, dhcp_options=(DhcpOption(name="no-such-option", value="x"),))

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(strange)
        answer = ask_dhcp(Tap((await backend.ensure_port(port(2))).tap), port(2).mac)
        assert answer is not None
        assert answer.address == "10.20.30.102"

    play(scene)


def test_an_address_goes_to_the_next_port_at_once(play: Play) -> None:
    heir = port(2, address="10.20.30.101")

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        tap = Tap((await backend.ensure_port(PORT)).tap)
        assert ask_dhcp(tap, MAC) is not None
        tap.close()
        await backend.ensure_no_port(PORT.id)
        answer = ask_dhcp(Tap((await backend.ensure_port(heir)).tap), heir.mac)
        assert answer is not None
        assert answer.address == "10.20.30.101"

    play(scene)


def test_a_changed_address_is_given_at_the_next_question(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        tap = Tap((await backend.ensure_port(PORT)).tap)
        assert ask_dhcp(tap, MAC) is not None
        await backend.ensure_port(port(1, address="10.20.30.200"))
        answer = ask_dhcp(tap, MAC)
        assert answer is not None
        assert answer.address == "10.20.30.200"

    play(scene)


def test_a_removed_port_gets_no_answer(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        tap = Tap((await backend.ensure_port(port(2))).tap)
        await backend.ensure_port(PORT)
        await backend.ensure_no_port(PORT.id)
        assert not is_answered(tap, MAC, witness=port(2).mac)

    play(scene)


def test_ports_are_told_when_their_network_gets_dhcp(play: Play) -> None:
    plain = msgspec.structs.replace(NETWORK, subnets=(msgspec.structs.replace(SUBNET, dhcp_address=""),))

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(plain)
        plugged = await backend.ensure_port(PORT)
        await backend.ensure_network(NETWORK)
        assert ask_dhcp(Tap(plugged.tap), MAC) is not None

    play(scene)


def test_guests_know_each_other_by_name_and_no_question_leaves_the_network(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        await backend.ensure_port(port(2, hostname=""))
        guest = NamespaceGuest("guest", BRIDGE, "fa:16:3e:00:09:01", "10.20.30.151/24")
        assert guest.look_up("web-1.openstacklocal", "10.20.30.2") == (0, ["10.20.30.101"])
        assert guest.look_up("host-10-20-30-102", "10.20.30.2") == (0, ["10.20.30.102"])
        assert guest.look_up("nobody.openstacklocal", "10.20.30.2") == (NO_SUCH_NAME, [])
        assert guest.look_up("example.org", "10.20.30.2") == (REFUSED, [])
        await backend.ensure_no_port(PORT.id)
        for _ in range(1000):  # dnsmasq reads its files anew a moment after it was told
            forgotten = guest.look_up("web-1.openstacklocal", "10.20.30.2") == (NO_SUCH_NAME, [])
            if forgotten:
                break
        assert forgotten

    play(scene)


def test_ipv6_addresses_are_given_by_dhcpv6(play: Play, run_dir: Path) -> None:
    v6 = SubnetPlan(
        id="5ab00000-0000-4000-8000-000000000006", cidr="fd00:7::/64", gateway="fd00:7::1", dns_servers=("fd00::53",),
        dhcp_address="fd00:7::2", address_mode="dhcpv6-stateful",
    )  # fmt: skip
    network = msgspec.structs.replace(NETWORK, subnets=(SUBNET, v6))
    both = (*PORT.fixed_ips, FixedIp(subnet_id=v6.id, address="fd00:7::abc"))
    mac = port(1).mac

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(network)
        plugged = await backend.ensure_port(port(1, fixed_ips=both))
        assert (await backend.observe()).networks[0].problems == ()
        tap = Tap(plugged.tap)
        answer = ask_dhcp(tap, mac)
        assert answer is not None
        assert answer.address == "10.20.30.101"
        assert ask_dhcpv6(tap, mac, duid=b"\0\3\0\1first!") == "fd00:7::abc"
        tap.close()
        await backend.ensure_no_port(PORT.id)
        heir = port(2, fixed_ips=(FixedIp(subnet_id=v6.id, address="fd00:7::abc"),))
        tap = Tap((await backend.ensure_port(heir)).tap)
        assert ask_dhcpv6(tap, heir.mac, duid=b"\0\3\0\1second") == "fd00:7::abc"

    play(scene)


# -- repair -------------------------------------------------------------------------------------------------------
def test_a_killed_dnsmasq_is_noticed_and_replaced(play: Play, run_dir: Path) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        plugged = await backend.ensure_port(PORT)
        (pid,) = dnsmasq_of(NETWORK, run_dir)
        os.kill(pid, signal.SIGKILL)
        while dnsmasq_of(NETWORK, run_dir):
            await asyncio.sleep(0.01)
        assert (await backend.observe()).networks[0].problems == ("dnsmasq does not run as planned",)
        await backend.ensure_network(NETWORK)
        assert (await backend.observe()).networks[0].problems == ()
        answer = renew_dhcp(Tap(plugged.tap), MAC, "10.20.30.101")
        assert answer is not None
        assert (answer.kind, answer.address) == (ACK, "10.20.30.101")

    play(scene)


def test_a_restart_adopts_the_dnsmasq_that_runs(play: Play, run_dir: Path) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)

    play(scene)
    before = dnsmasq_of(NETWORK, run_dir)
    play(scene)
    assert len(before) == 1
    assert dnsmasq_of(NETWORK, run_dir) == before


def test_a_pid_file_that_names_somebody_else_harms_nobody(play: Play, run_dir: Path) -> None:
    pid_file = run_dir / "networks" / NETWORK.id / "dnsmasq.pid"

    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        (before,) = dnsmasq_of(NETWORK, run_dir)
        pid_file.write_text(f"{os.getpid()}\n")
        assert (await backend.observe()).networks[0].problems == ("dnsmasq does not run as planned",)
        await backend.ensure_network(NETWORK)
        (after,) = dnsmasq_of(NETWORK, run_dir)
        assert after != before
        assert (await backend.observe()).networks[0].problems == ()

    play(scene)


DAMAGES = {
    "tap deleted": (["link", "del", "tap00000001-11"], "no tap"),
    "tap taken off the bridge": (["link", "set", "tap00000001-11", "nomaster"], "the tap is not as planned"),
    "tap down": (["link", "set", "tap00000001-11", "down"], "the tap is not as planned"),
    "bridge down": (["link", "set", "br-0e700000-00", "down"], "the bridge is not as planned"),
    "bridge deleted": (["link", "del", "br-0e700000-00"], "no bridge"),
    "DHCP device deleted": (["link", "del", "dh-0e700000-00"], "no DHCP device"),
    "namespace deleted": (["netns", "del", "pileus-dhcp-0e700000-000"], "no DHCP namespace"),
    "address deleted": (
        ["-n", "pileus-dhcp-0e700000-000", "address", "del", "169.254.169.254/32", "dev", "dhcp0"],
        "the DHCP addresses are not as planned",
    ),
    "foreign address": (
        ["-n", "pileus-dhcp-0e700000-000", "address", "add", "10.99.0.1/24", "dev", "dhcp0"],
        "the DHCP addresses are not as planned",
    ),
}


@pytest.mark.parametrize(("command", "problem"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_noticed_and_mended(play: Play, command: list[str], problem: str) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        run("ip", *command)
        facts = await backend.observe()
        assert problem in {*facts.networks[0].problems, *facts.ports[0].problems}
        await backend.ensure_network(NETWORK)
        plugged = await backend.ensure_port(PORT)
        facts = await backend.observe()
        assert (facts.networks[0].problems, facts.ports[0].problems) == ((), ())
        assert ask_dhcp(Tap(plugged.tap), MAC) is not None

    play(scene)


def test_lost_dhcp_files_are_noticed_and_written_again(play: Play, run_dir: Path) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        (run_dir / "networks" / NETWORK.id / "hosts" / PORT.id).unlink()
        assert (await backend.observe()).ports[0].problems == ("DHCP was not told of it",)
        plugged = await backend.ensure_port(PORT)
        assert ask_dhcp(Tap(plugged.tap), MAC) is not None

    play(scene)


def test_a_namespace_whose_making_was_cut_off_is_made_anew(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        NAMESPACES.mkdir(exist_ok=True)
        (NAMESPACES / dhcp_namespace(NETWORK.id)).touch()
        await backend.ensure_network(NETWORK)
        assert (await backend.observe()).networks[0].problems == ()
        plugged = await backend.ensure_port(PORT)
        assert ask_dhcp(Tap(plugged.tap), MAC) is not None

    play(scene)


def test_records_whose_writing_was_cut_off_are_written_anew(play: Play, run_dir: Path) -> None:
    half = run_dir / "networks" / NETWORK.id
    half.mkdir(parents=True)

    async def scene(backend: LinuxBackend) -> None:
        (fact,) = (await backend.observe()).networks
        assert (fact.id, fact.plan) == (NETWORK.id, None)
        await backend.ensure_network(NETWORK)
        (half / "ports" / f".{PORT.id}.new").touch()
        facts = await backend.observe()
        assert [fact.problems for fact in facts.networks] == [()]
        assert facts.ports == ()
        await backend.ensure_port(PORT)

    play(scene)
    play(scene_of_removal)
    assert list((run_dir / "networks").iterdir()) == []


async def scene_of_removal(backend: LinuxBackend) -> None:
    assert [fact.id for fact in (await backend.observe()).ports] == [PORT.id]
    await backend.ensure_no_network(NETWORK.id)


# -- a host that lacks something ----------------------------------------------------------------------------------
def programs(tmp_path: Path, *names: str) -> str:
    """A search path on which only these programs are found."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in names:
        (directory / name).symlink_to(shutil.which(name) or "")
    return str(directory)


@pytest.mark.parametrize(
    ("name", "package"), [("dnsmasq", "dnsmasq-base"), ("ip", "iproute2"), ("nsenter", "util-linux")]
)
def test_a_missing_program_is_named_with_its_mend(
    machine: Runtime, tmp_path: Path, run_dir: Path, name: str, package: str
) -> None:
    there = programs(tmp_path, *({"ip", "nsenter", "dnsmasq"} - {name}))
    options = {"run_dir": str(run_dir), "path": there}
    backend = LinuxBackend(machine, hostname="host", state_dir=tmp_path, options=options)
    with pytest.raises(
        BackendUnavailable, match=f"{name} is not installed on this host. Mend: apt-get install {package}"
    ):
        asyncio.run(backend.open())
    assert not run_dir.exists()


def test_a_program_that_vanishes_later_is_named_too(machine: Runtime, tmp_path: Path, run_dir: Path) -> None:
    path = programs(tmp_path, "ip", "nsenter", "dnsmasq")
    options = {"run_dir": str(run_dir), "path": path}
    backend = LinuxBackend(machine, hostname="host", state_dir=tmp_path, options=options)

    async def scene() -> None:
        await backend.open()
        (Path(path) / "dnsmasq").unlink()
        with pytest.raises(BackendUnavailable, match="apt-get install dnsmasq-base"):
            await backend.ensure_network(NETWORK)
        (Path(path) / "ip").unlink()
        with pytest.raises(BackendUnavailable, match="apt-get install iproute2"):
            await backend.observe()

    asyncio.run(scene())


# -- nothing left -------------------------------------------------------------------------------------------------
def test_nothing_is_left_after_delete(play: Play, run_dir: Path) -> None:
    before = run("ip", "-br", "link")

    async def scene(backend: LinuxBackend) -> None:
        for network in (NETWORK, OTHER_NETWORK):
            await backend.ensure_network(network)
        for plan in (PORT, port(2), port(3, network=OTHER_NETWORK)):
            await backend.ensure_port(plan)
        for network in (NETWORK, OTHER_NETWORK):
            await backend.ensure_no_network(network.id)

    play(scene)
    assert run("ip", "-br", "link") == before
    assert list(NAMESPACES.iterdir()) == []
    assert processes_of(str(run_dir)) == []
    assert list((run_dir / "networks").iterdir()) == []


def test_a_device_without_record_is_seen_as_a_leftover_and_removed(play: Play, run_dir: Path) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        (run_dir / "networks" / NETWORK.id / "ports" / PORT.id).unlink()
        (fact,) = (await backend.observe()).ports
        assert (fact.id, fact.plan) == (PORT.id, None)
        await backend.ensure_no_port(PORT.id)
        assert (await backend.observe()).ports == ()
        assert "tap" not in run("ip", "-br", "link")

    play(scene)


def test_two_clouds_on_one_machine_leave_each_other_alone(play: Play, machine: Runtime, tmp_path: Path) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        other = make_linux(machine, tmp_path / "other", tmp_path / "run")
        await other.open()
        facts = await other.observe()
        assert (facts.networks, facts.ports) == ((), ())
        await other.ensure_no_port(PORT.id)
        assert [fact.problems for fact in (await backend.observe()).ports] == [()]

    play(scene)


# -- who may reach whom -------------------------------------------------------------------------------------------
def test_guests_of_one_network_reach_each_other(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        first = NamespaceGuest("first", BRIDGE, "fa:16:3e:00:09:01", "10.20.30.151/24")
        second = NamespaceGuest("second", BRIDGE, "fa:16:3e:00:09:02", "10.20.30.152/24")
        with second.listen("10.20.30.152", 7) as server, first.connect("10.20.30.152", 7) as connection:
            assert connection.getpeername() == server.getsockname()

    play(scene)


def test_a_guest_cannot_speak_to_the_host_over_its_bridge(play: Play) -> None:
    """It knows an address of the host and the bridge's MAC, and sends there. With the doors open it would arrive."""
    target = ("203.0.113.7", 5000)

    async def scene(backend: LinuxBackend) -> None:
        run("ip", "address", "add", "203.0.113.7/32", "dev", "lo")
        await backend.ensure_network(NETWORK)
        assert run("ip", "-6", "address", "show", "dev", BRIDGE) == ""
        NamespaceGuest("guest", BRIDGE, "fa:16:3e:00:09:01", "10.20.30.151/24")
        run("ip", "-n", "guest", "route", "add", "203.0.113.7/32", "dev", "eth0")
        mac = Path(f"/sys/class/net/{BRIDGE}/address").read_text().strip()
        run("ip", "-n", "guest", "neigh", "add", "203.0.113.7", "lladdr", mac, "dev", "eth0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
            host.bind(target)
            host.settimeout(PATIENCE_S)
            in_namespace("guest", send, b"doors closed", target)
            for setting in ("all", BRIDGE):
                Path(f"/proc/sys/net/ipv4/conf/{setting}/rp_filter").write_text("0")
            assert (await backend.observe()).networks[0].problems == ("the host can be reached from the bridge",)
            in_namespace("guest", send, b"doors open", target)
            assert host.recv(100) == b"doors open"
        await backend.ensure_network(NETWORK)
        assert (await backend.observe()).networks[0].problems == ()

    play(scene)


def send(text: bytes, target: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(text, target)


def test_the_namespace_is_the_one_that_metadata_is_served_in(play: Play) -> None:
    async def scene(backend: LinuxBackend) -> None:
        await backend.ensure_network(NETWORK)
        assert backend.metadata_namespace(NETWORK.id) == dhcp_namespace(NETWORK.id)
        assert (NAMESPACES / dhcp_namespace(NETWORK.id)).exists()

    play(scene)
