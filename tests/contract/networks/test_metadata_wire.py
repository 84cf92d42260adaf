"""The metadata service as guests reach it: over their own network, told apart by the wire alone."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus.foundation.namespaces import namespace_identity
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import HostPlan
from pileus.network.drivers.base import bridge_name, dhcp_namespace
from pileus.network.drivers.linux import LinuxBackend
from pileus.network.host.agent import NetworkHost
from pileus.network.host.metadata import MetadataService
from tests.contract.networks.conftest import make_linux, needs_wires
from tests.contract.networks.guest import NamespaceGuest, Tap, ask_dhcp
from tests.contract.networks.machine import run
from tests.contract.networks.plans import NETWORK, OTHER_NETWORK, SUBNET, port

pytestmark = needs_wires


class Guests:
    """Compute's answers, by network and address."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], dict[str, bytes]] = {}

    def add(self, network_id: str, address: str, name: str) -> None:
        self.known[network_id, address] = {"openstack/latest/meta_data.json": msgspec.json.encode({"name": name})}

    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        return self.known.get((network_id, fixed_ip))


class Wanted:
    """The network service's answer: whatever the test wants."""

    def __init__(self) -> None:
        self.plan = HostPlan()

    async def host_plan(self, host: str) -> HostPlan:
        return self.plan


class Stage:
    def __init__(self, machine: Runtime, backend: LinuxBackend) -> None:
        self.guests, self.wanted = Guests(), Wanted()
        self.backend = backend
        self.metadata = MetadataService(machine, self.guests)
        self.agent = NetworkHost("host", backend, self.wanted, self.metadata)


Play = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(machine: Runtime, tmp_path: Path, run_dir: Path) -> Play:
    def act(scene: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            stage = Stage(machine, make_linux(machine, tmp_path, run_dir))
            await stage.agent.start()
            await scene(stage)
            await stage.agent.stop()

        asyncio.run(whole())

    return act


async def get(guest: NamespaceGuest, path: str, headers: str = "", method: str = "GET") -> tuple[int, bytes]:
    """Status and body, asked from inside the guest."""
    request = f"{method} {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}\r\n".encode()
    answer = await asyncio.to_thread(guest.ask, request)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


META_DATA = "/openstack/latest/meta_data.json"


def test_a_guest_that_boots_by_dhcp_reads_its_own_metadata(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        first, second = port(1), port(2)
        for plan in (first, second):
            stage.guests.add(NETWORK.id, plan.fixed_ips[0].address, plan.hostname)
        outcome = await stage.agent.plug(HostPlan(networks=(NETWORK,), ports=(first, second)))
        assert outcome.failures == ()
        for name, plan, plugged in zip(("a", "b"), (first, second), outcome.plugged, strict=True):
            answer = ask_dhcp(Tap(plugged.tap), plan.mac)
            assert answer is not None
            run("ip", "link", "del", plugged.tap)  # its other end is read by nobody: the guest goes on by a cable
            guest = NamespaceGuest(name, plugged.bridge, plan.mac)
            guest.configure(answer)
            assert await get(guest, META_DATA) == (200, msgspec.json.encode({"name": plan.hostname}))
            assert await get(guest, "/nothing/here") == (404, b"404 Not Found\n")

    play(scene)


def guest_on(network_id: str, name: str, address: str) -> NamespaceGuest:
    guest = NamespaceGuest(name, bridge_name(network_id), f"fa:16:3e:00:09:{ord(name):02x}", f"{address}/24")
    run("ip", "-n", name, "route", "add", "169.254.169.254/32", "via", "10.20.30.2")
    return guest


def test_the_same_address_in_two_networks_is_two_guests(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.agent.plug(HostPlan(networks=(NETWORK, OTHER_NETWORK)))
        for network, name in ((NETWORK, "a"), (OTHER_NETWORK, "b")):
            stage.guests.add(network.id, "10.20.30.101", name)
            guest = guest_on(network.id, name, "10.20.30.101")
            assert await get(guest, META_DATA) == (200, msgspec.json.encode({"name": name}))

    play(scene)


FORGED = [
    "X-Forwarded-For: 10.20.30.102\r\n",
    "X-Instance-ID: 11111111-1111-1111-1111-111111111111\r\nX-Tenant-ID: 0\r\n",
    f"X-OVN-Network-ID: {OTHER_NETWORK.id}\r\nX-Neutron-Network-ID: {OTHER_NETWORK.id}\r\n",
    "X-Real-IP: 10.20.30.102\r\nForwarded: for=10.20.30.102\r\n",
]


@pytest.mark.parametrize("headers", FORGED)
def test_what_a_guest_says_about_itself_changes_nothing(play: Play, headers: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.agent.plug(HostPlan(networks=(NETWORK, OTHER_NETWORK)))
        stage.guests.add(NETWORK.id, "10.20.30.101", "mine")
        stage.guests.add(NETWORK.id, "10.20.30.102", "not mine")
        stage.guests.add(OTHER_NETWORK.id, "10.20.30.101", "not mine")
        guest = guest_on(NETWORK.id, "a", "10.20.30.101")
        assert await get(guest, META_DATA, headers) == (200, msgspec.json.encode({"name": "mine"}))

    play(scene)


def test_an_address_without_a_server_gets_nothing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.agent.plug(HostPlan(networks=(NETWORK,)))
        guest = guest_on(NETWORK.id, "a", "10.20.30.99")
        assert (await get(guest, META_DATA))[0] == 404
        assert (await get(guest, "/"))[0] == 404

    play(scene)


def test_a_restarted_process_answers_again(play: Play) -> None:
    async def before(stage: Stage) -> None:
        await stage.agent.plug(HostPlan(networks=(NETWORK,)))
        guest_on(NETWORK.id, "a", "10.20.30.101")

    async def after(stage: Stage) -> None:
        stage.guests.add(NETWORK.id, "10.20.30.101", "same")
        stage.wanted.plan = HostPlan(networks=(NETWORK,))
        outcome = await stage.agent.reconcile()
        assert (outcome.plugged, outcome.removed, outcome.failures) == ((), (), ())
        guest = NamespaceGuest.__new__(NamespaceGuest)
        guest.name = "a"
        assert await get(guest, META_DATA) == (200, msgspec.json.encode({"name": "same"}))

    play(before)
    play(after)


def test_a_namespace_that_was_made_anew_is_listened_in_again(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.guests.add(NETWORK.id, "10.20.30.101", "same")
        stage.wanted.plan = HostPlan(networks=(NETWORK,))
        await stage.agent.reconcile()
        guest = guest_on(NETWORK.id, "a", "10.20.30.101")
        before = namespace_identity(dhcp_namespace(NETWORK.id))
        run("ip", "netns", "del", dhcp_namespace(NETWORK.id))
        await stage.agent.reconcile()
        assert namespace_identity(dhcp_namespace(NETWORK.id)) != before
        assert await get(guest, META_DATA) == (200, msgspec.json.encode({"name": "same"}))

    play(scene)


def test_a_removed_network_is_listened_in_no_more_and_leaves_no_namespace(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        await stage.agent.plug(HostPlan(networks=(NETWORK,), ports=(port(1),)))
        assert stage.metadata.networks() == {NETWORK.id}
        outcome = await stage.agent.unplug({port(1).id: None}, [NETWORK.id])
        assert outcome.removed == (port(1).id, NETWORK.id)
        assert stage.metadata.networks() == frozenset()
        assert namespace_identity(dhcp_namespace(NETWORK.id)) is None
        assert await stage.agent.audit() == []

    play(scene)


def test_a_network_without_dhcp_has_nobody_to_answer(play: Play) -> None:
    plain = msgspec.structs.replace(NETWORK, subnets=(msgspec.structs.replace(SUBNET, dhcp_address=""),))

    async def scene(stage: Stage) -> None:
        for plan, listened in ((plain, 0), (NETWORK, 1), (plain, 0)):
            outcome = await stage.agent.plug(HostPlan(networks=(plan,)))
            assert outcome.failures == ()
            assert len(stage.metadata.networks()) == listened

    play(scene)


def test_kernel_and_plan_are_compared_by_audit_and_mended_by_a_pass(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        kept, dropped = port(1), port(2)
        await stage.agent.plug(HostPlan(networks=(NETWORK, OTHER_NETWORK), ports=(kept, dropped)))
        run("ip", "link", "del", "tap00000001-11")
        stage.wanted.plan = HostPlan(networks=(NETWORK,), ports=(kept, port(3)))
        assert sorted(await stage.agent.audit()) == [
            f"network {OTHER_NETWORK.id} is on the host and belongs to nobody",
            f"port {kept.id}: no tap",
            f"port {dropped.id} is on the host and belongs to nobody",
            f"port {port(3).id} is missing on the host",
        ]
        outcome = await stage.agent.reconcile()
        assert outcome.removed == (dropped.id, OTHER_NETWORK.id)
        assert [plugged.port_id for plugged in outcome.plugged] == [kept.id, port(3).id]
        assert outcome.failures == ()
        assert await stage.agent.audit() == []

    play(scene)


def test_one_bad_port_does_not_stop_the_others(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        bad = port(2, hostname="a\nb")
        outcome = await stage.agent.plug(HostPlan(networks=(NETWORK,), ports=(port(1), bad, port(3))))
        assert [plugged.port_id for plugged in outcome.plugged] == [port(1).id, port(3).id]
        assert [(failure.id, failure.code) for failure in outcome.failures] == [(bad.id, "network.host.bad-plan")]

    play(scene)
