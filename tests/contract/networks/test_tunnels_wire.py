"""A network over several hosts, with real packets: who reaches whom, who hears nothing, and what is left."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pileus.foundation.namespaces import in_namespace
from pileus.network.domain.data_plane import NetworkPlan, Peer, PortPlan
from pileus.network.drivers.base import BackendUnavailable, HostFacts, NetworkBackend, bridge_name, tunnel_name
from tests.contract.networks.conftest import needs_wires
from tests.contract.networks.guest import PATIENCE_S, NamespaceGuest, Tap, ask_dhcp
from tests.contract.networks.plans import NETWORK, SUBNET, port
from tests.contract.networks.several_hosts import Host, hosts_on_a_wire

pytestmark = needs_wires
EVERYBODY = "00:00:00:00:00:00"
TUNNEL = tunnel_name(NETWORK.id)
V4 = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
V6 = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]


@pytest.fixture
def hosts(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Host]]:
    with hosts_on_a_wire(tmp_path, getattr(request, "param", V4)) as found:
        yield found


def network_on(host: Host, *others: tuple[Host, PortPlan], **changes: object) -> NetworkPlan:
    """The network as `host` has it while these ports are on others; each host has a DHCP address of its own."""
    peers = tuple(Peer(address=other.address, macs=(held.mac,)) for other, held in others)
    subnet = msgspec.structs.replace(SUBNET, dhcp_address=f"10.20.30.{10 + host.number}")
    mac = f"fa:16:3e:00:00:{host.number:02x}"
    own = msgspec.structs.replace(NETWORK, segment=4242, peers=peers, dhcp_mac=mac, subnets=(subnet,))
    return msgspec.structs.replace(own, **changes)


def make(host: Host, network: NetworkPlan, *ports: PortPlan) -> None:
    async def scene(backend: NetworkBackend) -> None:
        await backend.ensure_network(network)
        for plan in ports:
            await backend.ensure_port(plan)

    host.do(scene)


def observe(host: Host) -> HostFacts:
    async def scene(backend: NetworkBackend) -> HostFacts:
        return await backend.observe()

    return host.do(scene)


def problems(host: Host) -> tuple[str, ...]:
    return observe(host).networks[0].problems


def guest(host: Host, plan: PortPlan) -> NamespaceGuest:
    """A guest with the port's MAC and address, beside the port's own tap."""
    address = f"{plan.fixed_ips[0].address}/24"
    return host.call(NamespaceGuest, f"guest{host.number}", bridge_name(NETWORK.id), plan.mac, address)


def reaches(
    host: Host, origin: NamespaceGuest, target_host: Host, target: NamespaceGuest, address: str,
    patience_s: float = PATIENCE_S,
) -> bool:  # fmt: skip
    """Whether a TCP connection between two guests comes about."""
    with target_host.call(target.listen, address, 7000) as listener:
        try:
            with host.call(in_namespace, origin.name, socket.create_connection, (address, 7000), patience_s):
                listener.settimeout(PATIENCE_S)
                listener.accept()[0].close()
                return True
        except OSError:
            return False


# -- reaching -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hosts", [V4, V6], ids=["over IPv4", "over IPv6"], indirect=True)
def test_guests_on_two_hosts_reach_each_other(hosts: list[Host]) -> None:
    one, two, _ = hosts
    make(one, network_on(one, (two, port(2))), port(1))
    make(two, network_on(two, (one, port(1))), port(2))
    first, second = guest(one, port(1)), guest(two, port(2))
    assert reaches(one, first, two, second, "10.20.30.102")
    assert reaches(two, second, one, first, "10.20.30.101")
    assert (problems(one), problems(two)) == ((), ())


def test_other_networks_and_other_hosts_hear_nothing(hosts: list[Host]) -> None:
    one, two, three = hosts
    make(one, network_on(one, (two, port(2))), port(1))
    make(two, network_on(two, (one, port(1))), port(2))
    make(three, network_on(three, (two, port(2)), segment=4243), port(3))  # speaks to host 2, on another segment
    heard = three.overhear()
    first, second, stranger = guest(one, port(1)), guest(two, port(2)), guest(three, port(3))
    assert reaches(one, first, two, second, "10.20.30.102")
    assert not reaches(three, stranger, two, second, "10.20.30.102", patience_s=1.0)
    assert heard.receivers() == []
    heard.close()


def test_what_is_for_one_host_goes_to_no_other_peer(hosts: list[Host]) -> None:
    one, two, three = hosts
    make(one, network_on(one, (two, port(2)), (three, port(3))), port(1))
    make(two, network_on(two, (one, port(1)), (three, port(3))), port(2))
    make(three, network_on(three, (one, port(1)), (two, port(2))), port(3))
    first, second, third = (guest(host, port(host.number)) for host in hosts)
    heard = three.overhear()
    assert reaches(one, first, three, third, "10.20.30.103")
    assert reaches(one, first, two, second, "10.20.30.102")
    receivers = heard.receivers()
    assert {"ff:ff:ff:ff:ff:ff", port(3).mac} <= set(receivers)
    assert port(2).mac not in receivers
    heard.close()


def test_the_largest_packet_that_fits_arrives_and_dhcp_tells_its_size(hosts: list[Host]) -> None:
    one, two, _ = hosts
    make(one, network_on(one, (two, port(2))), port(1), port(9))
    make(two, network_on(two, (one, port(1))), port(2))
    first, second = guest(one, port(1)), guest(two, port(2))
    one.run("ip", "-n", first.name, "link", "set", "eth0", "mtu", "1450")
    assert reaches(one, first, two, second, "10.20.30.102")

    def send() -> int:
        with two.call(in_namespace, second.name, socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("10.20.30.102", 7001))
            receiver.settimeout(PATIENCE_S)
            with one.call(in_namespace, first.name, socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: never in pieces
                sender.sendto(bytes(1422), ("10.20.30.102", 7001))
                with pytest.raises(OSError) as refused:
                    sender.sendto(bytes(1423), ("10.20.30.102", 7001))
                assert refused.value.errno == errno.EMSGSIZE
            return len(receiver.recv(2000))

    assert send() == 1422
    tap = one.call(Tap, "tap00000009-11")
    answer = ask_dhcp(tap, port(9).mac)
    tap.close()
    assert answer is not None
    assert int.from_bytes(answer.options[26]) == 1450


def test_each_host_gives_addresses_to_its_own_guests_alone(hosts: list[Host]) -> None:
    one, two, _ = hosts
    make(one, network_on(one, (two, port(2))), port(1))
    make(two, network_on(two, (one, port(1))), port(2))
    for host in (one, two):
        tap = host.call(Tap, f"tap0000000{host.number}-11")
        answer = ask_dhcp(tap, port(host.number).mac)
        tap.close()
        assert answer is not None
        assert answer.address == f"10.20.30.{100 + host.number}"
        assert answer.addresses(54) == [f"10.20.30.{10 + host.number}"]
        assert answer.routes()["169.254.169.254/32"] == f"10.20.30.{10 + host.number}"


# -- changes ------------------------------------------------------------------------------------------------------
def test_who_moved_is_found_at_his_new_host(hosts: list[Host]) -> None:
    one, two, three = hosts
    make(one, network_on(one, (two, port(2))), port(1))
    make(two, network_on(two, (one, port(1))), port(2))
    assert one.entries(NETWORK) == {(EVERYBODY, two.address), (port(2).mac, two.address)}
    make(three, network_on(three, (one, port(1))), port(2))
    make(one, network_on(one, (three, port(2))))
    assert one.entries(NETWORK) == {(EVERYBODY, three.address), (port(2).mac, three.address)}
    assert reaches(one, guest(one, port(1)), three, guest(three, port(2)), "10.20.30.102")


def test_the_last_peer_takes_the_tunnel_with_it_and_the_last_port_everything(hosts: list[Host]) -> None:
    one, two, _ = hosts
    before = two.devices()
    make(one, network_on(one, (two, port(2))), port(1))
    make(two, network_on(two, (one, port(1))), port(2))
    assert (TUNNEL in one.devices(), TUNNEL in two.devices()) == (True, True)

    async def remove(backend: NetworkBackend) -> None:
        await backend.ensure_no_port(port(2).id)
        await backend.ensure_no_network(NETWORK.id)

    two.do(remove)
    assert two.devices() == before
    assert observe(two) == HostFacts()
    make(one, network_on(one))
    assert TUNNEL not in one.devices()
    assert problems(one) == ()


def test_a_host_alone_has_no_tunnel(hosts: list[Host]) -> None:
    one = hosts[0]
    make(one, network_on(one), port(1))
    assert TUNNEL not in one.devices()
    assert problems(one) == ()


def test_a_host_without_a_tunnel_address_makes_none_and_removes_those_it_has(hosts: list[Host]) -> None:
    one, two, _ = hosts
    plan = network_on(one, (two, port(2)))
    make(one, plan, port(1))

    async def scene(backend: NetworkBackend) -> None:
        assert (await backend.observe()).networks[0].problems == ("a tunnel that nobody needs",)
        await backend.ensure_network(plan)
        assert (await backend.observe()).networks[0].problems == ()

    one.do(scene, address="")
    assert TUNNEL not in one.devices()


def test_a_tunnel_address_that_the_host_does_not_have_is_refused(hosts: list[Host]) -> None:
    with pytest.raises(BackendUnavailable, match=r"192\.0\.2\.99 is not an address of this host"):
        hosts[0].do(observe_nothing, address="192.0.2.99")


async def observe_nothing(backend: NetworkBackend) -> None:
    assert await backend.observe() == HostFacts()


# -- repair -------------------------------------------------------------------------------------------------------
FLOOD = f"bridge fdb del {EVERYBODY} dev {TUNNEL} dst 192.0.2.2 self"
DAMAGES = [
    (f"ip link del {TUNNEL}", "no tunnel"),
    (f"ip link set {TUNNEL} down", "the tunnel is not as planned"),
    (f"ip link set {TUNNEL} nomaster", "the tunnel is not as planned"),
    (f"ip link set {TUNNEL} mtu 1400", "the tunnel is not as planned"),
    (f"ip link set {TUNNEL} type vxlan learning", "the tunnel is not as planned"),
    (FLOOD, "the tunnel does not know who is where"),
    (f"bridge fdb append {EVERYBODY} dev {TUNNEL} dst 192.0.2.3 self", "the tunnel does not know who is where"),
    (f"bridge fdb replace {port(2).mac} dev {TUNNEL} dst 192.0.2.3 self", "the tunnel does not know who is where"),
]


@pytest.mark.parametrize(("command", "problem"), DAMAGES, ids=[command for command, _ in DAMAGES])
def test_damage_is_noticed_and_mended(hosts: list[Host], command: str, problem: str) -> None:
    one, two, _ = hosts
    plan = network_on(one, (two, port(2)))
    make(one, plan, port(1))
    one.run(*command.split())
    assert problems(one) == (problem,)
    make(one, plan)
    assert problems(one) == ()
    assert one.entries(NETWORK) == {(EVERYBODY, two.address), (port(2).mac, two.address)}


def test_a_tunnel_to_another_segment_is_made_anew(hosts: list[Host]) -> None:
    one, two, _ = hosts
    plan = network_on(one, (two, port(2)))
    make(one, msgspec.structs.replace(plan, segment=7), port(1))
    make(one, plan)
    assert "vxlan id 4242 local 192.0.2.1 " in one.run("ip", "-details", "link", "show", TUNNEL)
    assert problems(one) == ()


def test_a_tunnel_whose_record_is_lost_is_seen_and_removed(hosts: list[Host]) -> None:
    one, two, _ = hosts
    make(one, network_on(one, (two, port(2))))
    one.run("ip", "link", "del", bridge_name(NETWORK.id))
    one.run("rm", "-r", str(one.run_dir / "networks" / NETWORK.id))
    facts = observe(one)
    assert [(fact.id, fact.problems) for fact in facts.networks] == [(NETWORK.id, ("no record of its plan",))]

    async def remove(backend: NetworkBackend) -> None:
        await backend.ensure_no_network(NETWORK.id)

    one.do(remove)
    assert TUNNEL not in one.devices()
