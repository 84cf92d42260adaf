"""The agent between those who tell it and what it finds: no order of events may cost a port."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import HostPlan, NetworkPlan, PortPlan
from pileus.network.drivers.base import StaleBinding
from pileus.network.drivers.fake import FakeBackend
from pileus.network.host.agent import NetworkHost
from pileus.network.host.metadata import MetadataService

Run = Callable[..., Any]
NET = NetworkPlan(id="0e700000-0000-4000-8000-000000000001")


def port(number: int, **changes: Any) -> PortPlan:
    return PortPlan(
        id=f"{number:08x}-1111-4000-8000-000000000001", network_id=NET.id, mac=f"fa:16:3e:00:00:{number:02x}", **changes
    )


class Nobody:
    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        return None


class Wanted:
    """The network service: answers when the test lets it."""

    def __init__(self) -> None:
        self.plan = HostPlan()
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: Exception | None = None

    async def host_plan(self, host: str) -> HostPlan:
        plan = self.plan
        self.asked.set()
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return plan


class Stage:
    def __init__(self, runtime: Runtime) -> None:
        self.wanted = Wanted()
        self.backend = FakeBackend(runtime, hostname="host", state_dir=None, options={})
        self.agent = NetworkHost("host", self.backend, self.wanted, MetadataService(runtime, Nobody()))

    async def ports(self) -> list[str]:
        return [fact.id for fact in (await self.backend.observe()).ports]


def test_what_was_told_is_plugged_and_what_was_not_stays(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        first = await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1),)))
        second = await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(2),)))
        assert [plugged.port_id for plugged in (*first.plugged, *second.plugged)] == [port(1).id, port(2).id]
        assert await stage.ports() == [port(1).id, port(2).id]
        assert (await stage.agent.unplug({port(1).id: None})).removed == (port(1).id,)
        assert await stage.ports() == [port(2).id]

    run(scene)


def test_a_pass_removes_leftovers_and_makes_what_is_missing(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1), port(2))))
        stage.backend.damage(port(2).id, "no tap")
        stage.wanted.plan = HostPlan(networks=(NET,), ports=(port(2), port(3)))
        outcome = await stage.agent.reconcile()
        assert outcome.removed == (port(1).id,)
        assert [plugged.port_id for plugged in outcome.plugged] == [port(2).id, port(3).id]
        assert await stage.agent.audit() == []

    run(scene)


def test_a_port_told_during_a_pass_survives_the_passes_older_knowledge(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1),)))  # bound, not yet in the pass's answer
        stage.wanted.may_answer.clear()
        running = asyncio.create_task(stage.agent.reconcile())
        await stage.wanted.asked.wait()
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1),)))
        stage.wanted.may_answer.set()
        assert (await running).removed == ()
        assert await stage.ports() == [port(1).id]

    run(scene)


def test_a_port_unplugged_during_a_pass_is_not_plugged_again(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        stage.wanted.plan = HostPlan(networks=(NET,), ports=(port(1),))
        stage.wanted.may_answer.clear()
        running = asyncio.create_task(stage.agent.reconcile())
        await stage.wanted.asked.wait()
        await stage.agent.unplug({port(1).id: None})
        stage.wanted.may_answer.set()
        assert (await running).plugged == ()
        assert await stage.ports() == []

    run(scene)


def test_the_next_pass_looks_at_everything_again(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1),)))
        assert (await stage.agent.reconcile()).removed == (port(1).id, NET.id)

    run(scene)


def test_without_an_answer_nothing_is_touched(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1),)))
        stage.wanted.failure = Unavailable()
        with pytest.raises(Unavailable):
            await stage.agent.reconcile()
        assert await stage.ports() == [port(1).id]

    run(scene)


def test_one_failure_stops_nobody_else_and_names_its_port(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        bad = port(2, hostname="a\nb")
        outcome = await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1), bad, port(3))))
        assert [plugged.port_id for plugged in outcome.plugged] == [port(1).id, port(3).id]
        assert [failure.id for failure in outcome.failures] == [bad.id]

    run(scene)


def test_an_unplug_of_an_older_binding_is_refused(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        stage = Stage(runtime)
        await stage.agent.plug(HostPlan(networks=(NET,), ports=(port(1, epoch=3),)))
        outcome = await stage.agent.unplug({port(1).id: 2})
        assert [failure.code for failure in outcome.failures] == [StaleBinding.code]
        assert outcome.removed == ()
        assert await stage.ports() == [port(1).id]

    run(scene)
