"""Calls, casts and announcements: answers, errors, deadlines, and messages that are lost, doubled or late."""

import asyncio
from typing import Any

import pytest

from pileus.foundation import errors
from pileus.foundation.bus import Broker, Bus, BusTimeout, Delivery, Fate
from pileus.foundation.runtime import Runtime
from pileus.foundation.trace import Event, Trace
from tests.conftest import Run


async def echo(delivery: Delivery) -> Any:
    return delivery.args


def test_a_call_brings_the_answer_and_the_events_back(run: Run) -> None:
    async def scenario() -> None:
        runtime = Runtime("one")
        bus = Bus(Broker(), runtime)

        async def work(delivery: Delivery) -> Any:
            delivery.trace.add(Event(16, "conductor", "database", 1))
            return delivery.args["a"] + 1

        bus.serve("conductor", {"work": work})
        record = Trace()
        found = await bus.call("conductor", "work", {"a": 1}, source="host", record=record, steps=(14, 15, 18))
        assert found == 2
        assert [event.step for event in record.events] == [14, 15, 16, 18]
        assert [record.kind for record in bus.records] == ["call", "taken", "answered"]
        await runtime.stop()

    run(scenario)


@pytest.mark.parametrize("kind", [errors.NotFound, errors.Conflict, errors.NoCapacity, errors.Unavailable])
def test_an_error_crosses_the_bus_as_its_kind(run: Run, kind: type[errors.Error]) -> None:
    class Special(kind):  # type: ignore[misc, valid-type]
        code, message = "special.one", "It is {what}."

    async def scenario() -> None:
        runtime = Runtime("one")
        bus = Bus(Broker(), runtime)

        async def fail(delivery: Delivery) -> None:
            raise Special(what="so")

        bus.serve("t", {"fail": fail})
        with pytest.raises(kind) as caught:
            await bus.call("t", "fail", {})
        assert (caught.value.code, caught.value.text, caught.value.facts) == (
            "special.one",
            "It is so.",
            {"what": "so"},
        )
        await runtime.stop()

    run(scenario)


def test_a_bug_in_a_handler_tells_the_caller_its_class_and_no_more(run: Run) -> None:
    async def scenario() -> None:
        runtime = Runtime("one")
        bus = Bus(Broker(), runtime)

        async def bug(delivery: Delivery) -> None:
            raise ZeroDivisionError("secret detail")

        bus.serve("t", {"bug": bug})
        with pytest.raises(errors.Error) as caught:
            await bus.call("t", "bug", {})
        assert caught.value.code == "unexpected.ZeroDivisionError"
        assert "secret" not in caught.value.text
        with pytest.raises(errors.NotSupported):
            await bus.call("t", "unknown", {})
        await runtime.stop()

    run(scenario)


def test_a_call_that_nothing_carries_says_that_we_are_cut_off(run: Run) -> None:
    async def scenario() -> None:
        runtime = Runtime("one")
        broker = Broker(lambda topic, message: Fate(copies=0))
        bus = Bus(broker, runtime)
        for trouble, is_cut_off in (("", False), ("RabbitMQ is away.", True)):
            broker.trouble = trouble
            with pytest.raises(BusTimeout) as late:
                await bus.call("t", "echo", {}, timeout_s=0.01)
            assert isinstance(late.value, errors.CutOff) == is_cut_off
        await runtime.stop()

    run(scenario)


def test_a_lost_message_ends_in_a_timeout_and_a_late_answer_harms_nobody(run: Run) -> None:
    async def scenario() -> None:
        runtime = Runtime("one")
        fates = iter([Fate(copies=0), Fate(delay_s=0.05)])
        broker = Broker(lambda topic, message: next(fates, Fate()))
        bus = Bus(broker, runtime)
        bus.serve("t", {"echo": echo})
        for _ in range(2):
            with pytest.raises(BusTimeout, match="t did not answer echo"):
                await bus.call("t", "echo", {}, timeout_s=0.01)
        await runtime.sleep(0.1)
        assert await bus.call("t", "echo", {"a": 1}) == {"a": 1}
        await runtime.stop()

    run(scenario)


def test_a_doubled_call_is_handled_twice_and_answered_once(run: Run) -> None:
    async def scenario() -> None:
        runtime, taken = Runtime("one"), []
        bus = Bus(Broker(lambda topic, message: Fate(copies=2)), runtime)

        async def count(delivery: Delivery) -> int:
            taken.append(delivery.id)
            return len(taken)

        bus.serve("t", {"count": count})
        assert await bus.call("t", "count", {}) in (1, 2)
        await runtime.sleep(0)
        assert len(taken) == 2
        assert len(set(taken)) == 1
        await runtime.stop()

    run(scenario)


def test_messages_wait_for_a_consumer_and_are_shared_among_several(run: Run) -> None:
    async def scenario() -> None:
        broker, got = Broker(), []
        first, second = Runtime("one"), Runtime("two")
        sender = Bus(broker, first)
        for number in range(4):
            sender.cast("t", "work", {"n": number})
        assert await broker.depth() == {"t": 4}

        async def work(delivery: Delivery) -> None:
            got.append(delivery.args["n"])

        buses = [Bus(broker, first), Bus(broker, second)]
        for bus in buses:
            bus.serve("t", {"work": work})
        for number in range(4, 8):
            sender.cast("t", "work", {"n": number})
        await asyncio.sleep(0.01)
        assert sorted(got) == list(range(8))
        for runtime in (first, second):
            await runtime.stop()

    run(scenario)


def test_an_announcement_reaches_everybody_but_the_dead(run: Run) -> None:
    async def scenario() -> None:
        broker, heard = Broker(), []
        alive, dead = Runtime("alive"), Runtime("dead")
        buses = {name: Bus(broker, runtime) for name, runtime in (("alive", alive), ("dead", dead))}
        for name, bus in buses.items():
            bus.subscribe("news", lambda event, args, name=name: heard.append((name, event, args)))  # type: ignore[misc]
        dead.crash()
        buses["alive"].publish("news", "ended", {"id": "1"})
        assert heard == [("alive", "ended", {"id": "1"})]
        await alive.stop()

    run(scenario)
