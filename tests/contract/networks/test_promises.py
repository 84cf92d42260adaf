"""What every network backend promises, fake or real."""

import msgspec
import pytest

from pileus.network.domain.data_plane import DhcpOption, FixedIp, Peer
from pileus.network.drivers.base import BadPlan, NetworkAbsent, NetworkBackend, StaleBinding
from tests.contract.networks.conftest import Play
from tests.contract.networks.plans import NETWORK, OTHER_NETWORK, SUBNET, port

PORT = port(1)


def test_an_empty_host_has_nothing(play: Play) -> None:
    async def scene(backend: NetworkBackend) -> None:
        facts = await backend.observe()
        assert (facts.networks, facts.ports) == ((), ())

    play(scene)


def test_what_was_ensured_is_seen_whole(play: Play) -> None:
    async def scene(backend: NetworkBackend) -> None:
        await backend.ensure_network(NETWORK)
        plugged = await backend.ensure_port(PORT)
        assert (plugged.port_id, plugged.network_id, plugged.mtu) == (PORT.id, NETWORK.id, 1450)
        assert plugged.tap == "tap00000001-11"
        facts = await backend.observe()
        assert [(fact.id, fact.plan, fact.problems) for fact in facts.networks] == [(NETWORK.id, NETWORK, ())]
        assert [(fact.id, fact.tap, fact.plan, fact.problems) for fact in facts.ports] == [
            (PORT.id, plugged.tap, PORT, ())
        ]

    play(scene)


def test_everything_may_be_repeated(play: Play) -> None:
    async def scene(backend: NetworkBackend) -> None:
        for _ in range(2):
            await backend.ensure_network(NETWORK)
        assert await backend.ensure_port(PORT) == await backend.ensure_port(PORT)
        facts = await backend.observe()
        assert (len(facts.networks), len(facts.ports)) == (1, 1)
        for _ in range(2):
            await backend.ensure_no_port(PORT.id)
        for _ in range(2):
            await backend.ensure_no_network(NETWORK.id)
        facts = await backend.observe()
        assert (facts.networks, facts.ports) == ((), ())

    play(scene)


def test_a_restarted_host_finds_what_it_had(play: Play) -> None:
    async def before(backend: NetworkBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        await backend.ensure_port(port(2))
        await backend.ensure_no_port(port(2).id)

    async def after(backend: NetworkBackend) -> None:
        facts = await backend.observe()
        assert [fact.plan for fact in facts.networks] == [NETWORK]
        assert [(fact.plan, fact.problems) for fact in facts.ports] == [(PORT, ())]
        await backend.ensure_no_network(NETWORK.id)
        facts = await backend.observe()
        assert (facts.networks, facts.ports) == ((), ())

    play(before)
    play(after)


def test_a_port_needs_its_network(play: Play) -> None:
    async def scene(backend: NetworkBackend) -> None:
        with pytest.raises(NetworkAbsent):
            await backend.ensure_port(PORT)
        assert (await backend.observe()).ports == ()

    play(scene)


def test_a_network_takes_its_ports_with_it_and_no_others(play: Play) -> None:
    other = port(2, network=OTHER_NETWORK)

    async def scene(backend: NetworkBackend) -> None:
        for network in (NETWORK, OTHER_NETWORK):
            await backend.ensure_network(network)
        await backend.ensure_port(PORT)
        await backend.ensure_port(other)
        await backend.ensure_no_network(NETWORK.id)
        facts = await backend.observe()
        assert [fact.id for fact in facts.networks] == [OTHER_NETWORK.id]
        assert [(fact.id, fact.problems) for fact in facts.ports] == [(other.id, ())]

    play(scene)


def test_a_changed_plan_is_carried_out(play: Play) -> None:
    larger = msgspec.structs.replace(NETWORK, mtu=1400, subnets=(msgspec.structs.replace(SUBNET, gateway=""),))
    moved = port(1, address="10.20.30.77", hostname="db-1", is_up=False)

    async def scene(backend: NetworkBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(PORT)
        await backend.ensure_network(larger)
        assert (await backend.ensure_port(moved)).mtu == 1400
        facts = await backend.observe()
        assert [(fact.plan, fact.problems) for fact in facts.networks] == [(larger, ())]
        assert [(fact.plan, fact.problems) for fact in facts.ports] == [(moved, ())]

    play(scene)


def test_who_lives_on_other_hosts_is_part_of_the_plan(play: Play) -> None:
    alone = msgspec.structs.replace(NETWORK, segment=4242)
    shared = msgspec.structs.replace(alone, peers=(Peer(address="192.0.2.9", macs=("fa:16:3e:00:09:09",)),))

    async def scene(backend: NetworkBackend) -> None:
        for plan in (alone, shared, alone):
            await backend.ensure_network(plan)
            await backend.ensure_port(PORT)
            facts = await backend.observe()
            assert [(fact.plan, fact.problems) for fact in facts.networks] == [(plan, ())]
            assert [fact.problems for fact in facts.ports] == [()]

    play(scene)


def test_a_network_without_dhcp_is_only_a_wire(play: Play) -> None:
    plain = msgspec.structs.replace(NETWORK, subnets=(msgspec.structs.replace(SUBNET, dhcp_address=""),))

    async def scene(backend: NetworkBackend) -> None:
        for plan in (plain, NETWORK, plain):
            await backend.ensure_network(plan)
            await backend.ensure_port(PORT)
            facts = await backend.observe()
            assert [(fact.plan, fact.problems) for fact in facts.networks] == [(plan, ())]
            assert [fact.problems for fact in facts.ports] == [()]

    play(scene)


def test_a_stale_binding_changes_nothing(play: Play) -> None:
    newer = port(1, epoch=5)

    async def scene(backend: NetworkBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(newer)
        with pytest.raises(StaleBinding):
            await backend.ensure_port(port(1, epoch=4))
        with pytest.raises(StaleBinding):
            await backend.ensure_no_port(PORT.id, epoch=4)
        assert [fact.plan for fact in (await backend.observe()).ports] == [newer]
        await backend.ensure_no_port(PORT.id, epoch=5)
        assert (await backend.observe()).ports == ()

    play(scene)


HOSTILE_PORTS = {
    "newline in the host name": {"hostname": "web\ndhcp-script=/bin/sh"},
    "comma in the host name": {"hostname": "web,set:evil"},
    "space in the host name": {"hostname": "we b"},
    "slash in the id": {"id": "../../../../etc/cron.d/x"},
    "upper-case id": {"id": "ABCDEF01-1111-4000-8000-000000000001"},
    "group MAC": {"mac": "01:00:5e:00:00:01"},
    "MAC with more behind it": {"mac": "fa:16:3e:00:01:01,10.0.0.1"},
    "address with a zone": {"fixed_ips": (FixedIp(subnet_id=SUBNET.id, address="fe80::1%eth0"),)},
    "address with a newline": {"fixed_ips": (FixedIp(subnet_id=SUBNET.id, address="10.20.30.5\n"),)},
    "newline in an option": {"dhcp_options": (DhcpOption(name="bootfile-name", value="a\ndhcp-script=/bin/sh"),)},
    "quote in an option": {"dhcp_options": (DhcpOption(name="bootfile-name", value='a"b'),)},
    "comment in an option": {"dhcp_options": (DhcpOption(name="bootfile-name", value="a #b"),)},
    "option with a tag of another": {"dhcp_options": (DhcpOption(name="tag:other,3", value="10.0.0.1"),)},
    "empty option": {"dhcp_options": (DhcpOption(name="bootfile-name", value=""),)},
}


@pytest.mark.parametrize("changes", HOSTILE_PORTS.values(), ids=HOSTILE_PORTS.keys())
def test_a_port_that_could_speak_to_dnsmasq_is_refused(play: Play, changes: dict[str, object]) -> None:
    async def scene(backend: NetworkBackend) -> None:
        await backend.ensure_network(NETWORK)
        await backend.ensure_port(port(2))
        with pytest.raises(BadPlan):
            await backend.ensure_port(port(1, **changes))
        facts = await backend.observe()
        assert [(fact.id, fact.problems) for fact in facts.ports] == [(port(2).id, ())]

    play(scene)


HOSTILE_NETWORKS = {
    "domain with a newline": {"dns_domain": "example.org\naddn-hosts=/etc/shadow"},
    "gateway with a newline": {"subnets": (msgspec.structs.replace(SUBNET, gateway="10.20.30.1\nuser=root"),)},
    "host bits in the subnet": {"subnets": (msgspec.structs.replace(SUBNET, cidr="10.20.30.1/24"),)},
    "name server that is a name": {"subnets": (msgspec.structs.replace(SUBNET, dns_servers=("dns.example",)),)},
    "MTU below all sense": {"mtu": 10},
    "segment that no tunnel can carry": {"segment": 1 << 24},
    "peers without a segment": {"peers": (Peer(address="192.0.2.9"),)},
    "peer with a newline": {"segment": 7, "peers": (Peer(address="192.0.2.9\nlink del dev eth0"),)},
    "peer whose MAC is more": {"segment": 7, "peers": (Peer(address="192.0.2.9", macs=("fa:16:3e:00:00:01 x",)),)},
    "id that is a path": {"id": "../x"},
}


@pytest.mark.parametrize("changes", HOSTILE_NETWORKS.values(), ids=HOSTILE_NETWORKS.keys())
def test_a_network_that_could_speak_to_dnsmasq_is_refused(play: Play, changes: dict[str, object]) -> None:
    async def scene(backend: NetworkBackend) -> None:
        with pytest.raises(BadPlan):
            await backend.ensure_network(msgspec.structs.replace(NETWORK, **changes))
        assert (await backend.observe()).networks == ()

    play(scene)
