"""What every bus promises: in one process, through the socket of a hub, over RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.bus import PARKED, Broker, Bus, BusTimeout, Delivery, Fate, Transport
from pileus.foundation.bus.broker import Deliver
from pileus.foundation.bus.opening import open_transport
from pileus.foundation.bus.rabbitmq import RabbitTransport
from pileus.foundation.bus.socket import Hub
from pileus.foundation.errors import Conflict, Error, TooLarge
from pileus.foundation.runtime import Runtime
from pileus.foundation.trace import Event, Trace
from tests.conftest import Run
from tests.contract.buses.party import echo, until
from tests.private_rabbitmq import PrivateRabbit


class Net:
    """Processes on one bus, each with a runtime and a transport of its own where there is no common memory."""

    def __init__(self, fate: Callable[[str, bytes], Fate] | None):
        self._fate = fate
        self._runtimes: list[Runtime] = []
        self._transports: list[Transport] = []

    async def start(self) -> None: ...
    async def open(self, runtime: Runtime) -> Transport:
        raise NotImplementedError

    async def process(self, name: str) -> Bus:
        runtime = Runtime(name)
        transport = await self.open(runtime)
        self._runtimes.append(runtime)
        self._transports.append(transport)
        return Bus(transport, runtime)

    async def settle(self) -> None:
        """Wait until all who joined have been heard: a question that travels behind what they said."""
        for number, transport in enumerate(self._transports):
            bus = Bus(transport, self._runtimes[number])
            bus.serve(f"echo.{number}", {"echo": echo})
            await bus.call(f"echo.{number}", "echo", {})
            bus.close()

    async def end(self) -> None:
        for transport in self._transports:
            await transport.close()
        for runtime in self._runtimes:
            await runtime.stop()


class InProcess(Net):
    async def start(self) -> None:
        self.broker = Broker(self._fate)

    async def open(self, runtime: Runtime) -> Transport:
        return self.broker


class ThroughHub(InProcess):
    def __init__(self, fate: Callable[[str, bytes], Fate] | None, path: Path):
        super().__init__(fate)
        self._path = path

    async def start(self) -> None:
        await super().start()
        self._hub = Hub(self.broker)
        await self._hub.listen(self._path)

    async def open(self, runtime: Runtime) -> Transport:
        return await open_transport(f"hub://{self._path}", runtime)

    async def end(self) -> None:
        await super().end()
        self._hub.stop()


class Fateful(RabbitTransport):
    """Meets the fate of its messages where they leave: the broker itself neither loses nor doubles."""

    fate: Callable[[str, bytes], Fate] = staticmethod(lambda topic, message: Fate())
    topics: set[str]

    def ask(self, topic: str, message: bytes, timeout_s: float, answer_to: str) -> None:
        self.topics.add(topic)
        for _ in range(self.fate(topic, message).copies):
            super().ask(topic, message, timeout_s, answer_to)

    def cast(self, topic: str, message: bytes) -> None:
        self.topics.add(topic)
        for _ in range(self.fate(topic, message).copies):
            super().cast(topic, message)

    def consume(self, topic: str, deliver: Deliver) -> None:
        self.topics.add(topic)
        super().consume(topic, deliver)


class OverRabbit(Net):
    def __init__(self, fate: Callable[[str, bytes], Fate] | None, rabbit: PrivateRabbit):
        super().__init__(fate)
        self._rabbit = rabbit
        self._topics: set[str] = set()

    async def open(self, runtime: Runtime) -> Transport:
        transport = Fateful(self._rabbit.url(), runtime)
        transport.topics = self._topics
        if self._fate is not None:
            transport.fate = self._fate
        await transport.connect(60.0)
        return transport

    async def end(self) -> None:
        await super().end()
        await self._rabbit.forget(self._topics)


Open = Callable[..., Any]


@pytest.fixture(params=["in process", "socket", "rabbitmq"])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """`async with net(fate) as net:` gives a bus that processes may join."""

    @asynccontextmanager
    async def opened(fate: Callable[[str, bytes], Fate] | None = None) -> AsyncIterator[Net]:
        if request.param == "in process":
            made: Net = InProcess(fate)
        elif request.param == "socket":
            made = ThroughHub(fate, tmp_path / "bus.sock")
        else:
            made = OverRabbit(fate, rabbit)
        await made.start()
        try:
            yield made
        finally:
            await made.end()

    rabbit = request.getfixturevalue("rabbit") if request.param == "rabbitmq" else None
    return opened


async def until_async(bus: Bus, depth: dict[str, int]) -> None:
    async with asyncio.timeout(20):
        while await bus.depth(["numbers"]) != depth:
            await asyncio.sleep(0.01)


def test_a_call_brings_back_what_the_handler_returned_and_its_events(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")

            async def add(delivery: Delivery) -> Any:
                delivery.trace.add(Event(16, "serving", "database", 1, 2, process="serving"))
                return {"sum": delivery.args["a"] + delivery.args["b"], "by": delivery.source, "raw": b"\x00\xff"}

            serving.serve("sums", {"add": add})
            record = Trace()
            found = await asking.call(
                "sums", "add", {"a": 2, "b": 3}, source="part", request_id="req-1", record=record, steps=(14, 15, 18)
            )
            assert found == {"sum": 5, "by": "part", "raw": b"\x00\xff"}
            assert [event.step for event in record.events] == [14, 15, 16, 18]
            assert [event.process for event in record.events] == ["asking", "serving", "serving", "asking"]

    run(work)


def test_who_has_just_joined_gets_the_answer_to_its_first_question(net: Open, run: Run) -> None:
    """The answer may be quicker than what the newcomer still has to make to receive it."""

    async def work() -> None:
        async with net() as made:
            serving = await made.process("serving")
            serving.serve("echo", {"echo": echo})
            await (await made.process("first")).call("echo", "echo", {})
            for number in range(20):
                newcomer = await made.process(f"newcomer {number}")
                asked = [newcomer.call("echo", "echo", {"n": n}, timeout_s=5.0) for n in range(3)]
                assert await asyncio.gather(*asked) == [{"n": 0}, {"n": 1}, {"n": 2}]

    run(work)


def test_messages_of_one_sender_to_one_consumer_keep_their_order(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            sending, taking = await made.process("sending"), await made.process("taking")
            seen: list[int] = []

            async def take(delivery: Delivery) -> None:
                seen.append(delivery.args["n"])

            taking.serve("numbers", {"take": take})
            for number in range(1000):
                sending.cast("numbers", "take", {"n": number})
            await until(lambda: len(seen) == 1000)
            assert seen == list(range(1000))

    run(work)


def test_a_message_reaches_one_of_the_consumers_and_they_take_turns(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            seen: dict[str, list[int]] = {"one": [], "two": []}
            for name in seen:
                bus = await made.process(name)

                async def take(delivery: Delivery, name: str = name) -> None:
                    seen[name].append(delivery.args["n"])

                bus.serve("numbers", {"take": take})
            await made.settle()
            sending = await made.process("sending")
            for number in range(10):
                sending.cast("numbers", "take", {"n": number})
            await until(lambda: sum(map(len, seen.values())) == 10)
            assert sorted(seen["one"] + seen["two"]) == list(range(10))
            assert len(seen["one"]) == len(seen["two"]) == 5

    run(work)


def test_what_is_published_reaches_everybody_who_subscribed(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            heard: list[tuple[str, str, Any]] = []
            telling = await made.process("telling")
            for name in ("one", "two"):
                bus = await made.process(name)
                bus.subscribe("news", lambda event, args, name=name: heard.append((name, event, args)))
            telling.subscribe("news", lambda event, args: heard.append(("telling", event, args)))
            await made.settle()
            telling.publish("news", "ended", {"flow": "f1"})
            await until(lambda: len(heard) == 3)
            assert sorted(heard) == [(name, "ended", {"flow": "f1"}) for name in ("one", "telling", "two")]

    run(work)


def test_messages_wait_for_a_consumer_to_come(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            sending = await made.process("sending")
            for number in range(3):
                sending.cast("numbers", "take", {"n": number})
            await until_async(sending, {"numbers": 3})
            assert await sending.depth(["numbers", "nothing"]) == {"numbers": 3}
            seen: list[int] = []

            async def take(delivery: Delivery) -> None:
                seen.append(delivery.args["n"])

            (await made.process("taking")).serve("numbers", {"take": take})
            await until(lambda: len(seen) == 3)
            assert seen == [0, 1, 2]
            await until_async(sending, {})

    run(work)


def test_a_doubled_message_is_handled_twice_and_answered_once(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net(lambda topic, message: Fate(copies=2)) as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            handled: list[str] = []

            async def count(delivery: Delivery) -> int:
                handled.append(delivery.id)
                return 7

            serving.serve("counting", {"count": count})
            assert await asking.call("counting", "count", {}) == 7
            await until(lambda: len(handled) == 2)
            assert handled[0] == handled[1]

    run(work)


def test_a_lost_message_ends_in_a_time_out_that_names_who_did_not_answer(net: Open, run: Run) -> None:
    async def work() -> None:
        def lose(topic: str, message: bytes) -> Fate:
            return Fate(copies=0) if topic == "void" else Fate()

        async with net(lose) as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            serving.serve("void", {"echo": echo})
            serving.serve("echo", {"echo": echo})
            with pytest.raises(BusTimeout, match=r"void did not answer echo within 0\.05 s"):
                await asking.call("void", "echo", {}, timeout_s=0.05)
            assert await asking.call("echo", "echo", {"still": "here"}) == {"still": "here"}

    run(work)


def test_an_answer_that_comes_after_its_time_out_harms_nobody(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            go = asyncio.Event()

            async def slow(delivery: Delivery) -> str:
                await go.wait()
                return "late"

            serving.serve("slow", {"slow": slow, "echo": echo})
            with pytest.raises(BusTimeout):
                await asking.call("slow", "slow", {}, timeout_s=0.05)
            go.set()
            assert await asking.call("slow", "echo", {"n": 1}) == {"n": 1}

    run(work)


def test_a_call_that_its_caller_gave_up_leaves_nothing_behind(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            begun, go = asyncio.Event(), asyncio.Event()
            finished: list[bool] = []

            async def slow(delivery: Delivery) -> None:
                begun.set()
                await go.wait()
                finished.append(True)

            serving.serve("slow", {"slow": slow, "echo": echo})
            call = asyncio.ensure_future(asking.call("slow", "slow", {}))
            await begun.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert not asking._waiting
            go.set()
            assert await asking.call("slow", "echo", {"n": 2}) == {"n": 2}
            assert finished == [True]  # who was asked does not hear of it

    run(work)


@pytest.mark.parametrize("size", [0, 1, 65_536, 5 << 20])
def test_bodies_of_any_size_come_back_as_they_went(net: Open, run: Run, size: int) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            serving.serve("echo", {"echo": echo})
            body = bytes(range(256)) * (size // 256) + bytes(size % 256)
            found = await asyncio.gather(*(asking.call("echo", "echo", {"body": body, "n": n}) for n in range(4)))
            assert found == [{"body": body, "n": n} for n in range(4)]

    run(work)


def test_a_handler_that_raises_answers_with_its_error(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")

            class Busy(Conflict):
                code, message = "thing.busy", "The thing {name} is busy."

            async def known(delivery: Delivery) -> None:
                raise Busy(name="t1")

            async def unknown(delivery: Delivery) -> None:
                raise ZeroDivisionError("secret words of ours")

            serving.serve("things", {"known": known, "unknown": unknown, "echo": echo})
            with pytest.raises(Conflict, match="The thing t1 is busy") as caught:
                await asking.call("things", "known", {})
            assert caught.value.code == "thing.busy"
            with pytest.raises(Error) as hidden:
                await asking.call("things", "unknown", {})
            assert "secret words" not in hidden.value.text
            with pytest.raises(Error, match="things knows no method other"):
                await asking.call("things", "other", {})
            assert await asking.call("things", "echo", {"n": 3}) == {"n": 3}

    run(work)


def test_a_consumer_that_closed_gets_nothing_more_and_the_next_gets_it(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            sending, first = await made.process("sending"), await made.process("first")
            seen: list[tuple[str, int]] = []

            def serve(bus: Bus, name: str) -> None:
                async def take(delivery: Delivery) -> None:
                    seen.append((name, delivery.args["n"]))

                bus.serve("numbers", {"take": take})

            serve(first, "first")
            await made.settle()
            sending.cast("numbers", "take", {"n": 1})
            await until(lambda: len(seen) == 1)
            first.close()
            await made.settle()
            sending.cast("numbers", "take", {"n": 2})
            await made.settle()
            serve(await made.process("second"), "second")
            await until(lambda: len(seen) == 2)
            assert seen == [("first", 1), ("second", 2)]

    run(work)


def test_what_cannot_be_read_is_parked_and_others_go_on(net: Open, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with net() as made:
            asking, serving = await made.process("asking"), await made.process("serving")
            serving.serve("echo", {"echo": echo})
            await made.settle()
            asking._transport.cast("echo", b"\xc1 no envelope")
            asking._transport.ask("echo", b"nor this", 10.0, asking._address)
            asking._transport.reply(asking._address, b"\xc1 no reply")
            assert await asking.call("echo", "echo", {"n": 1}) == {"n": 1}
            async with asyncio.timeout(20):
                while await asking.depth() != {PARKED: 3}:
                    await asyncio.sleep(0.01)
            assert caplog.text.count("parked a message: it cannot be read") == 3

    run(work)


def test_a_message_beyond_the_limit_is_refused_to_its_sender(net: Open, run: Run) -> None:
    async def work() -> None:
        async with net() as made:
            sending = await made.process("sending")
            if isinstance(made, OverRabbit | ThroughHub):
                with pytest.raises(TooLarge, match="are carried"):
                    sending.cast("numbers", "take", {"body": bytes((64 << 20) + 1)})
            assert await sending.depth(["numbers"]) == {}

    run(work)
