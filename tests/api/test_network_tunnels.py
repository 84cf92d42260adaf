"""Networks over several hosts: who is told of whom; moves reach everybody, and lost messages cost time only."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.bus import Fate
from pileus.foundation.errors import BadRequest, Conflict
from pileus.network.domain.data_plane import HostPlan, NetworkPlan, Peer
from pileus.network.drivers.fake import FakeBackend
from pileus.network.host.agent import NetworkHost
from pileus.network.host.messages import Messages
from pileus.network.host.metadata import MetadataService
from pileus.network.peers.service import BusNetworkService
from tests.api.network_cloud import NetworkCloud, play

ENDS = {"h1": "192.0.2.1", "h2": "192.0.2.2", "h3": "192.0.2.3"}


class Nobody:
    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        return None


class Host:
    """A host with wires in memory, and an end of the tunnels at `end`."""

    def __init__(self, cloud: NetworkCloud, name: str, end: str):
        self.name, self.end = name, end
        self.service = BusNetworkService(cloud.service.bus, tunnel=end)
        self.backend = FakeBackend(cloud.runtime, hostname=name, state_dir=None, options={})
        metadata = MetadataService(cloud.runtime, Nobody())
        self.agent = NetworkHost(name, self.backend, self.service, metadata)
        self.messages = Messages(name, self.agent, self.service, cloud.runtime, cloud.service.bus)

    async def networks(self) -> dict[str, NetworkPlan]:
        return {fact.id: fact.plan for fact in (await self.backend.observe()).networks if fact.plan is not None}

    async def peers(self, network: Any) -> dict[str, tuple[str, ...]]:
        """Whom the host's own wires know in the network."""
        found = (await self.networks()).get(network["id"])
        return {peer.address: peer.macs for peer in found.peers} if found else {}


async def hosts(cloud: NetworkCloud, ends: Mapping[str, str] = ENDS) -> list[Host]:
    found = [Host(cloud, name, end) for name, end in ends.items()]
    for host in found:
        await host.messages.start()
    return found


def at(host: str, epoch: int) -> dict[str, Any]:
    return {"port": {"binding:host_id": host, "binding:profile": {"pileus_epoch": epoch}, "device_id": "vm"}}


async def bind(cloud: NetworkCloud, port: Any, host: str, epoch: int = 1) -> None:
    await cloud.put(f"/ports/{port['id']}", at(host, epoch), as_="service")


async def agreed(found: list[Host]) -> None:
    """Return once every host has what the service says it should have."""
    async with asyncio.timeout(20):
        for host in found:
            while await host.agent.audit():
                await asyncio.sleep(0)


# -- who is told of whom ------------------------------------------------------------------------------------------
def test_hosts_that_share_a_network_know_each_others_guests(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two, three = await hosts(cloud)
        network, other = await cloud.network(), await cloud.network()
        first, second, third = [await cloud.port(network) for _ in range(3)]
        for port, host in ((first, "h1"), (second, "h2"), (third, "h2"), (await cloud.port(other), "h3")):
            await bind(cloud, port, host)
        await agreed([one, two, three])
        assert await one.peers(network) == {two.end: tuple(sorted((second["mac_address"], third["mac_address"])))}
        assert await two.peers(network) == {one.end: (first["mac_address"],)}
        assert await three.peers(other) == await three.peers(network) == {}
        segments = {(await host.networks())[network["id"]].segment for host in (one, two)}
        shown = (await cloud.get(f"/networks/{network['id']}", as_="admin@ops"))["network"]
        assert segments == {shown["provider:segmentation_id"]}
        assert "provider:segmentation_id" not in (await cloud.get(f"/networks/{network['id']}"))["network"]

    play(tmp_path, story)


def test_dhcp_of_another_host_is_known_while_that_host_has_guests(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two = await hosts(cloud, {"h1": ENDS["h1"], "h2": ENDS["h2"]})
        network = await cloud.network()
        await cloud.subnet(network)
        first, second = await cloud.port(network), await cloud.port(network)
        await bind(cloud, first, "h1")
        await bind(cloud, second, "h2")
        await agreed([one, two])
        dhcp = {host.name: (await host.networks())[network["id"]] for host in (one, two)}
        assert dhcp["h1"].subnets[0].dhcp_address != dhcp["h2"].subnets[0].dhcp_address
        assert await one.peers(network) == {two.end: tuple(sorted((second["mac_address"], dhcp["h2"].dhcp_mac)))}
        await cloud.delete(f"/ports/{second['id']}")
        await agreed([one, two])
        assert await one.peers(network) == {}

    play(tmp_path, story)


def test_a_move_and_an_end_reach_everybody(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two, three = await hosts(cloud)
        network = await cloud.network()
        stays, moves = await cloud.port(network), await cloud.port(network)
        await bind(cloud, stays, "h1")
        await bind(cloud, moves, "h2")
        await agreed([one, two, three])
        await bind(cloud, moves, "h3", 2)
        await agreed([one, two, three])
        assert await one.peers(network) == {three.end: (moves["mac_address"],)}
        assert await two.networks() == {}
        await bind(cloud, moves, "", 3)
        await agreed([one, two, three])
        assert await one.peers(network) == {}
        assert await three.networks() == {}
        await cloud.delete(f"/ports/{stays['id']}")
        await agreed([one, two, three])
        assert await one.networks() == {}

    play(tmp_path, story)


def test_networks_end_where_a_host_has_no_tunnel(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        found = await hosts(cloud, {"h1": ENDS["h1"], "h2": "", "h3": "2001:db8::3"})
        network = await cloud.network()
        for host in found:
            await bind(cloud, await cloud.port(network), host.name)
        await agreed(found)
        assert [await host.peers(network) for host in found] == [{}, {}, {}]

    play(tmp_path, story)


def test_networks_on_a_wire_of_their_own_are_not_tunnelled(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        found = await hosts(cloud)
        public, _ = await cloud.external()
        for host in found:
            port = await cloud.port(public, as_="admin@ops")
            await bind(cloud, port, host.name)
        await agreed(found)
        plan = (await found[0].networks())[public["id"]]
        assert (plan.segment, plan.peers) == (0, ())

    play(tmp_path, story)


# -- ends of tunnels ----------------------------------------------------------------------------------------------
def test_an_agent_shows_where_it_tunnels_from(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await hosts(cloud, {"h1": ENDS["h1"], "h2": ""})
        found = (await cloud.get("/agents", as_="admin@ops"))["agents"]
        assert {agent["host"]: agent["configurations"] for agent in found} == {
            "h1": {"tunneling_ip": ENDS["h1"], "tunnel_types": ["vxlan"], "l2_population": True},
            "h2": {},
        }

    play(tmp_path, story)


def test_a_host_that_comes_to_another_address_is_followed(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two, _ = await hosts(cloud)
        network = await cloud.network()
        for host in (one, two):
            await bind(cloud, await cloud.port(network), host.name)
        await agreed([one, two])
        await BusNetworkService(cloud.service.bus, tunnel="192.0.2.77").host_plan("h2")
        await one.agent.reconcile()
        assert list(await one.peers(network)) == ["192.0.2.77"]

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("end", "kind", "text"),
    [
        (ENDS["h1"], Conflict, "of host h9 is that of host h1"),
        ("not an address", BadRequest, "is not an IP address"),
        ("127.0.0.1", BadRequest, "not one that other hosts can reach"),
        ("239.1.1.1", BadRequest, "not one that other hosts can reach"),
    ],
)
def test_an_end_that_cannot_be_is_refused(tmp_path: Path, end: str, kind: type[Exception], text: str) -> None:
    async def story(cloud: NetworkCloud) -> None:
        await hosts(cloud, {"h1": ENDS["h1"]})
        with pytest.raises(kind, match=text):
            await BusNetworkService(cloud.service.bus, tunnel=end).host_plan("h9")

    play(tmp_path, story)


# -- messages -----------------------------------------------------------------------------------------------------
def test_many_changes_at_once_are_few_questions(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two, _ = await hosts(cloud)
        network = await cloud.network()
        await bind(cloud, await cloud.port(network), "h1")
        ports = [await cloud.port(network) for _ in range(20)]
        await agreed([one, two])
        asked: list[bytes] = []

        def fate(topic: str, message: bytes) -> Fate:
            if topic == "network" and b'"network_id"' in message and b'"h1"' in message:
                asked.append(message)
            return Fate()

        cloud.broker.fate = fate
        for _ in ports:
            cloud.service.hosts.peers_changed("h1", network["id"])
            cloud.service.hosts.peers_changed("h1", network["id"])
        await asyncio.gather(*(bind(cloud, port, "h2") for port in ports))
        await agreed([one, two])
        assert await one.peers(network) == {two.end: tuple(sorted(port["mac_address"] for port in ports))}
        assert len(asked) < 30

    play(tmp_path, story)


def test_an_older_answer_is_never_carried_out_last(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        one, two = await hosts(cloud, {"h1": ENDS["h1"], "h2": ENDS["h2"]})
        network = await cloud.network()
        await bind(cloud, await cloud.port(network), "h1")
        await agreed([one, two])
        ask, may_answer, asked = one.service.network_plan, asyncio.Event(), asyncio.Event()

        async def slowly(host: str, network_id: str) -> HostPlan:
            plan = await ask(host, network_id)
            asked.set()
            await may_answer.wait()
            return plan

        one.service.network_plan = slowly  # type: ignore[method-assign]
        cloud.service.hosts.peers_changed("h1", network["id"])
        await asked.wait()
        port = await cloud.port(network)
        await bind(cloud, port, "h2")
        whole = asyncio.create_task(one.agent.reconcile())  # knows of the port, and leaves the network to who asked
        await asyncio.sleep(0)
        may_answer.set()
        await whole
        await agreed([one, two])
        assert await one.peers(network) == {two.end: (port["mac_address"],)}

    play(tmp_path, story)


def test_a_cloud_without_tunnels_tells_nobody_of_peers(tmp_path: Path) -> None:
    async def story(cloud: NetworkCloud) -> None:
        sent: list[bytes] = []

        def fate(topic: str, message: bytes) -> Fate:
            sent.append(message)
            return Fate()

        found = await hosts(cloud, {"h1": "", "h2": ""})
        network = await cloud.network()
        cloud.broker.fate = fate
        for host in found:
            await bind(cloud, await cloud.port(network), host.name)
        await agreed(found)
        assert any(b"port_changed" in message for message in sent)
        assert not any(b"peers_changed" in message for message in sent)

    play(tmp_path, story)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_or_doubled_looking_mends_it(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    def fate(topic: str, message: bytes) -> Fate:
        is_nudge = topic.startswith("network-host") and b"peers_changed" in message
        return Fate(copies=chance.choice((0, 0, 1, 2))) if is_nudge else Fate()

    async def story(cloud: NetworkCloud) -> None:
        found = await hosts(cloud)
        networks = [await cloud.network() for _ in range(2)]
        living: dict[str, tuple[str, str, str]] = {}  # port -> network, MAC, host
        cloud.broker.fate = fate
        for step in range(1, 60):
            if living and chance.random() < 0.3:
                port_id = chance.choice(sorted(living))
                await cloud.delete(f"/ports/{port_id}")
                del living[port_id]
                continue
            host = chance.choice(sorted(ENDS))
            if living and chance.random() < 0.4:
                port_id = chance.choice(sorted(living))
                await cloud.put(f"/ports/{port_id}", at(host, step), as_="service")
                living[port_id] = (*living[port_id][:2], host)
            else:
                port = await cloud.port(chance.choice(networks))
                await bind(cloud, port, host, step)
                living[port["id"]] = (port["network_id"], port["mac_address"], host)
        async with asyncio.timeout(20):
            for host_ in found:
                while await host_.agent.audit():  # a look leaves alone what is told of meanwhile: the next one sees it
                    await host_.agent.reconcile()
        for host_ in found:
            assert await known(host_) == expected(host_.name, living)

    play(tmp_path, story)


async def known(host: Host) -> dict[str, tuple[Peer, ...]]:
    return {plan.id: plan.peers for plan in (await host.networks()).values()}


def expected(name: str, living: Mapping[str, tuple[str, str, str]]) -> dict[str, tuple[Peer, ...]]:
    """Worked out anew from who lives where."""
    macs: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for network_id, mac, host in living.values():
        macs[network_id][host].append(mac)
    return {
        network_id: tuple(
            Peer(address=ENDS[host], macs=tuple(sorted(those)))
            for host, those in sorted(carriers.items())
            if host != name
        )
        for network_id, carriers in macs.items()
        if name in carriers
    }
