"""What only RabbitMQ can do and suffer: it dies, is wiped, has no room; accounts, strangers, certificates."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from pileus.compute.app.conductor import OPEN_TO_HOSTS
from pileus.foundation import errors
from pileus.foundation.bus import PARKED, Bus, BusTimeout, Delivery, rabbit_line
from pileus.foundation.bus import rabbitmq as rabbit_module
from pileus.foundation.bus.broker import MOST_WAITING
from pileus.foundation.bus.opening import NoSuchBus, open_transport
from pileus.foundation.bus.rabbit_accounts import definitions, host_rights
from pileus.foundation.bus.rabbit_line import MOST_REDELIVERED, PREFETCH, awaiting
from pileus.foundation.bus.rabbitmq import (
    BrokerAway,
    BrokerRefuses,
    CertificateRefused,
    PlainRefused,
    RabbitTransport,
)
from pileus.foundation.bus.socket import MessageTooLarge
from pileus.foundation.runtime import Runtime
from pileus.foundation.tls import Tls
from tests.certificates import Authority
from tests.conftest import Run
from tests.contract.buses.test_promises import echo, until
from tests.private_rabbitmq import PASSWORDS, PrivateRabbit

CONSUMER = """
import asyncio, sys
from pileus.foundation.bus import Bus
from pileus.foundation.bus.opening import open_transport
from pileus.foundation.runtime import Runtime

async def main():
    runtime = Runtime("child")
    bus = Bus(await open_transport(sys.argv[1], runtime), runtime)

    async def stall(delivery):
        bus.cast("signs", "begun", {"method": delivery.method})
        await asyncio.Event().wait()

    bus.serve("work", {"do": stall, "ask": stall})
    await asyncio.Event().wait()

asyncio.run(main())
"""

TOPICS = ("work", "signs", "numbers", "echo", "conductor", "compute-host.h1", "compute-host.h2", "news")


class Party:
    """Processes on the broker; `take` collects numbers."""

    def __init__(self, rabbit: PrivateRabbit):
        self.rabbit = rabbit
        self.transports: list[RabbitTransport] = []

    async def join(self, account: str = "pileus", **options: Any) -> Bus:
        runtime = Runtime(f"{account} {len(self.transports)}")
        transport = RabbitTransport(self.rabbit.url(account), runtime, **options)
        await transport.connect(60.0)
        self.transports.append(transport)
        return Bus(transport, runtime)

    async def take(self, bus: Bus, topic: str = "numbers") -> list[int]:
        seen: list[int] = []

        async def take(delivery: Delivery) -> None:
            seen.append(delivery.args["n"])

        bus.serve(topic, {"take": take, "echo": echo})
        await bus.call(topic, "echo", {})
        return seen

    async def end(self) -> None:
        for transport in self.transports:
            await transport.close()
            await transport._runtime.stop()


@asynccontextmanager
async def party(rabbit: PrivateRabbit) -> AsyncIterator[Party]:
    made = Party(rabbit)
    try:
        yield made
    finally:
        await made.end()
        await rabbit.forget(TOPICS)


Scenario = Callable[[Party], Coroutine[Any, Any, None]]


@pytest.fixture
def play(rabbit: PrivateRabbit, run: Run) -> Callable[[Scenario], None]:
    """`play(scenario)` runs it with a party on the broker."""

    def played(scenario: Scenario) -> None:
        async def work() -> None:
            async with party(rabbit) as made:
                await scenario(made)

        run(work)

    return played


Play = Callable[[Scenario], None]


async def patiently(bus: Bus, topic: str, method: str, args: dict[str, Any]) -> Any:
    """Ask until there is an answer, as callers on the bus do."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await bus.call(topic, method, args, timeout_s=1.0)
            except BusTimeout:
                continue


async def waiting(bus: Bus, topic: str, count: int) -> None:
    """Until so many messages wait."""
    async with asyncio.timeout(20):
        while (await bus.depth([topic])).get(topic, 0) != count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def raw(rabbit: PrivateRabbit, account: str = "pileus") -> AsyncIterator[Any]:
    """A channel of somebody who does not use our bus."""
    connection = await aiormq.connect(rabbit.url(account))
    try:
        yield await connection.channel()
    finally:
        await connection.close()


# -- what the broker suffers ------------------------------------------------------------------------------------------
def test_a_broker_that_is_restarted_comes_back_with_casts_and_everybody_finds_it(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, serving = await made.join(), await made.join()
        serving.serve("echo", {"echo": echo})
        assert await sending.call("echo", "echo", {"n": 0}) == {"n": 0}
        for number in range(3):
            sending.cast("numbers", "take", {"n": number})
        await waiting(sending, "numbers", 3)
        await asyncio.to_thread(made.rabbit.control, "stop_app")
        await until(lambda: all(transport._line is None for transport in made.transports))
        for number in range(3, 6):
            sending.cast("numbers", "take", {"n": number})  # while nobody is there
        with pytest.raises(BrokerAway, match="the connection was lost"):
            await sending.depth()
        await asyncio.to_thread(made.rabbit.control, "start_app")
        assert await patiently(sending, "echo", "echo", {"n": 1}) == {"n": 1}
        seen = await made.take(serving)
        await until(lambda: sorted(seen) == list(range(6)))
        assert [transport.connections for transport in made.transports] == [2, 2]

    play(scenario)


def test_a_broker_that_loses_its_power_serves_again_though_it_finds_no_leader_for_a_young_queue(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, serving = await made.join(), await made.join()
        serving.serve("echo", {"echo": echo})
        assert await sending.call("echo", "echo", {"n": 0}) == {"n": 0}
        for topic in ("numbers", "work"):
            sending.cast(topic, "take", {"n": 0})
            await waiting(sending, topic, 1)
        made.rabbit.kill()
        await until(lambda: all(transport._line is None for transport in made.transports))
        for topic in ("numbers", "work"):
            sending.cast(topic, "take", {"n": 1})
        made.rabbit.start()
        assert await patiently(sending, "echo", "echo", {"n": 1}) == {"n": 1}
        seen = [await made.take(serving, topic) for topic in ("numbers", "work")]
        async with asyncio.timeout(60):
            while not all(1 in numbers for numbers in seen):
                await asyncio.sleep(0.01)

    play(scenario)


def test_a_broker_that_was_wiped_is_furnished_again(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, serving = await made.join(), await made.join()
        seen = await made.take(serving)
        heard: list[int] = []
        serving.subscribe("news", lambda event, args: heard.append(args["n"]))
        await asyncio.to_thread(made.rabbit.wipe)
        assert await patiently(sending, "numbers", "echo", {"n": 1}) == {"n": 1}
        sending.cast("numbers", "take", {"n": 2})
        sending.publish("news", "told", {"n": 3})
        await until(lambda: (seen, heard) == ([2], [3]))
        queues = await asyncio.to_thread(made.rabbit.queues)
        assert queues["call.numbers"] == {"name": "call.numbers", "type": "classic", "durable": True}
        assert queues["cast.numbers"] == {"name": "cast.numbers", "type": "quorum", "durable": True}
        assert queues[PARKED]["durable"] is True
        shared = [queue for name, queue in queues.items() if not name.startswith("amq.gen-")]
        assert all(queue["durable"] for queue in shared)

    play(scenario)


def test_who_remembers_what_news_may_change_knows_whether_they_arrive(play: Play) -> None:
    """From the first moment: what was published before the queue was there has gone to the others alone."""

    async def scenario(made: Party) -> None:
        telling, hearing = await made.join(), await made.join()
        states: list[bool] = []
        heard: list[int] = []
        hearing.subscribe("news", lambda event, args: heard.append(args["n"]))
        hearing.watch(states.append)
        assert states == [False]
        await until(lambda: states == [False, True])
        telling.publish("news", "told", {"n": 1})
        await until(lambda: heard == [1])
        await asyncio.to_thread(made.rabbit.kill)
        await until(lambda: states == [False, True, False])
        await asyncio.to_thread(made.rabbit.start)
        await until(lambda: states == [False, True, False, True])
        telling.publish("news", "told", {"n": 2})
        await until(lambda: heard == [1, 2])

    play(scenario)


def test_whatever_ends_a_wait_with_the_connection_is_an_error_that_is_tried_again(run: Run) -> None:
    """aiormq runs out of frames when the broker hangs up at once, and cancels what others wait for when it closes."""

    async def out_of_frames() -> None:
        raise StopAsyncIteration

    async def scenario() -> None:
        with pytest.raises(OSError, match="broke the conversation off"), awaiting():
            await out_of_frames()
        theirs = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(theirs.cancel)
        with pytest.raises(OSError, match="the connection ended"), awaiting():
            await theirs

        async def ours() -> None:
            with awaiting():
                await asyncio.Event().wait()

        task = asyncio.create_task(ours())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario)


def test_queues_that_somebody_deletes_are_declared_again_by_takers_and_senders(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, serving = await made.join(), await made.join()
        sending.cast("numbers", "take", {"n": 0})
        seen = await made.take(serving)
        await until(lambda: seen == [0])
        async with raw(made.rabbit) as channel:
            await channel.queue_delete("cast.numbers")
            await channel.queue_delete("call.numbers")
        assert await patiently(sending, "numbers", "echo", {"n": 1}) == {"n": 1}
        sending.cast("numbers", "take", {"n": 2})
        await until(lambda: 2 in seen)
        serving.close()
        async with raw(made.rabbit) as channel:
            await channel.queue_delete("cast.numbers")
        sending.cast("numbers", "take", {"n": 3})
        again = await made.take(await made.join())
        await until(lambda: again == [3])

    play(scenario)


def test_a_broker_without_room_stops_senders_without_blocking_anybody(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbit_module, "LOOK_S", 0.05)
    monkeypatch.setattr(rabbit_line, "ROOM_S", 0.05)

    async def scenario(made: Party) -> None:
        sending, taking = await made.join(), await made.join()
        seen = await made.take(taking)
        await asyncio.to_thread(made.rabbit.control, "set_vm_memory_high_watermark", "0.000001")
        sending.cast("numbers", "take", {"n": 0})  # the broker tells who sends
        connection = made.transports[0]._line._connection  # type: ignore[union-attr]
        await until(lambda: not connection._Connection__connection_unblocked.is_set())
        await until(lambda: "its memory or its disk has an alarm" in sending.trouble)
        for number in range(1, 1000):
            sending.cast("numbers", "take", {"n": number})
        transport = made.transports[0]
        assert transport._in_flight <= rabbit_module.MOST_IN_FLIGHT
        assert transport._in_flight + len(transport._unsent) >= 999
        await asyncio.to_thread(made.rabbit.control, "set_vm_memory_high_watermark", "0.4")
        await until(lambda: len(seen) == 1000)
        assert seen == list(range(1000))
        await until(lambda: sending.trouble == "")
        assert transport.connections == 1

    play(scenario)


def test_what_is_sent_while_nobody_is_there_is_bounded_and_the_newest_stays(run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("alone")
        transport = RabbitTransport("amqp://pileus:x@127.0.0.1:1", runtime)
        for _ in range(MOST_WAITING + 5):
            transport.cast("numbers", b"message")
        assert [transport._unsent[0].number, len(transport._unsent)] == [6, MOST_WAITING]
        with pytest.raises(BrokerAway, match=r"RabbitMQ does not answer at 127\.0\.0\.1:1"):
            await transport.connect(timeout_s=0.2)
        with pytest.raises(MessageTooLarge, match="at most 16777216"):
            transport.cast("numbers", bytes(rabbit_module.MOST_BYTES + 1))
        await transport.close()
        await runtime.stop()

    run(work)


# -- who takes --------------------------------------------------------------------------------------------------------
def test_what_a_killed_process_had_in_hand_goes_to_another(play: Play) -> None:
    async def scenario(made: Party) -> None:
        bus = await made.join()
        begun: list[str] = []

        async def sign(delivery: Delivery) -> None:
            begun.append(delivery.args["method"])

        bus.serve("signs", {"begun": sign})
        bus.cast("work", "do", {"n": 1})
        call = asyncio.ensure_future(bus.call("work", "ask", {"n": 2}))
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CONSUMER, made.rabbit.url(), cwd=os.getcwd())
        await until(lambda: sorted(begun) == ["ask", "do"])
        child.send_signal(signal.SIGKILL)
        await child.wait()
        done: list[int] = []

        async def do(delivery: Delivery) -> None:
            done.append(delivery.args["n"])

        bus.serve("work", {"do": do, "ask": echo})
        assert await call == {"n": 2}
        await until(lambda: done == [1])

    play(scenario)


def test_a_process_that_stops_gives_back_what_it_has_not_finished(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, stopping = await made.join(), await made.join()
        begun = asyncio.Event()

        async def stall(delivery: Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        stopping.serve("numbers", {"take": stall})
        sending.cast("numbers", "take", {"n": 1})
        await begun.wait()
        await made.transports[1]._runtime.quiesce()
        await made.transports[1].close()
        seen = await made.take(sending)
        await until(lambda: seen == [1])

    play(scenario)


def test_a_process_takes_no_more_than_it_can_hold_and_the_rest_goes_to_others(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, slow = await made.join(), await made.join()
        held: list[int] = []

        async def hold(delivery: Delivery) -> None:
            held.append(delivery.args["n"])
            await asyncio.Event().wait()

        slow.serve("numbers", {"take": hold})
        for number in range(PREFETCH + 10):
            sending.cast("numbers", "take", {"n": number})
        await until(lambda: len(held) == PREFETCH)
        await waiting(sending, "numbers", 10)
        seen: list[int] = []

        async def take(delivery: Delivery) -> None:
            seen.append(delivery.args["n"])

        (await made.join()).serve("numbers", {"take": take})
        await until(lambda: len(seen) == 10)
        assert sorted(held + seen) == list(range(PREFETCH + 10))

    play(scenario)


def test_handlers_that_take_long_do_not_stop_those_behind_them(play: Play) -> None:
    async def scenario(made: Party) -> None:
        sending, slow = await made.join(), await made.join(held_s=0.05)
        held: list[int] = []

        async def hold(delivery: Delivery) -> None:
            held.append(delivery.args["n"])
            await asyncio.Event().wait()

        slow.serve("numbers", {"take": hold})
        for number in range(2 * PREFETCH):
            sending.cast("numbers", "take", {"n": number})
        await until(lambda: len(held) == 2 * PREFETCH)

    play(scenario)


def test_a_message_that_kills_whoever_takes_it_is_parked(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(made: Party) -> None:
        bus = await made.join()
        bus.cast("numbers", "take", {"n": 1})
        await waiting(bus, "numbers", 1)
        for _ in range(MOST_REDELIVERED):
            async with raw(made.rabbit) as channel:
                taken = asyncio.Event()
                await channel.basic_consume("cast.numbers", lambda message, taken=taken: taken.set())
                await taken.wait()
        seen = await made.take(bus)
        await waiting(bus, PARKED, 1)
        assert seen == []
        assert f"numbers: parked a message: it came back {MOST_REDELIVERED} times" in caplog.text
        async with raw(made.rabbit) as channel:
            found = await channel.basic_get(PARKED)
            assert found.header.properties.headers["why"].startswith("it came back")
            assert found.routing_key == "numbers"

    play(scenario)


def test_a_question_whose_caller_gave_up_is_not_answered_by_who_comes_later(play: Play) -> None:
    async def scenario(made: Party) -> None:
        bus = await made.join()
        with pytest.raises(BusTimeout):
            await bus.call("numbers", "take", {"n": 1}, timeout_s=0.2)
        seen = await made.take(bus)
        bus.cast("numbers", "take", {"n": 2})
        await until(lambda: seen == [2])

    play(scenario)


# -- who sends --------------------------------------------------------------------------------------------------------
def test_a_handler_learns_who_sent_from_the_broker(play: Play) -> None:
    async def scenario(made: Party) -> None:
        senders: list[str] = []

        async def beat(delivery: Delivery) -> str:
            senders.append(delivery.sender)
            return delivery.args["host"]

        control = await made.join()
        control.serve("conductor", {"host.beat": beat, "audit": echo}, OPEN_TO_HOSTS)
        host = await made.join("host.h1")
        assert await host.call("conductor", "host.beat", {"host": "h1"}) == "h1"
        assert await control.call("conductor", "host.beat", {"host": "any"}) == "any"
        with pytest.raises(errors.Forbidden, match=r"host\.h1 may not ask conductor for host\.beat"):
            await host.call("conductor", "host.beat", {"host": "h2"})
        with pytest.raises(errors.Forbidden, match="may not ask conductor for audit"):
            await host.call("conductor", "audit", {})
        assert senders == ["host.h1", "pileus"]

    play(scenario)


def test_a_host_takes_its_own_topics_and_reaches_no_other_host(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(made: Party) -> None:
        control, one, two = await made.join(), await made.join("host.h1"), await made.join("host.h2")
        one.serve("compute-host.h1", {"echo": echo})
        two.serve("compute-host.h2", {"echo": echo})
        assert await control.call("compute-host.h1", "echo", {"n": 1}) == {"n": 1}
        assert await control.call("compute-host.h2", "echo", {"n": 2}) == {"n": 2}
        with pytest.raises(BusTimeout):
            await one.call("compute-host.h2", "echo", {}, timeout_s=0.5)
        assert "host.h1 may not send to call.compute-host.h2" in caplog.text
        one.serve("compute-host.h2", {"echo": echo})
        await until(lambda: "host.h1 cannot take compute-host.h2" in caplog.text)
        assert await control.call("compute-host.h1", "echo", {"n": 3}) == {"n": 3}  # neither did it any harm

    play(scenario)


def test_a_host_that_comes_before_the_conductor_is_answered_once_that_is_there(play: Play) -> None:
    async def scenario(made: Party) -> None:
        host = await made.join("host.h1")
        call = asyncio.ensure_future(host.call("conductor", "host.beat", {"host": "h1"}))
        await until(lambda: made.transports[0]._astray == 1)
        (await made.join()).serve("conductor", {"host.beat": echo}, OPEN_TO_HOSTS)
        assert await call == {"host": "h1"}

    play(scenario)


def test_the_broker_lets_no_host_read_anothers_replies_or_pose_as_another(play: Play) -> None:
    async def scenario(made: Party) -> None:
        control = await made.join()
        for key in (control._address, "reply.host.h2.00", "#", "reply.#", "call.conductor"):
            async with raw(made.rabbit, "host.h1") as channel:
                queue = (await channel.queue_declare(exclusive=True)).queue
                with pytest.raises(ChannelAccessRefused):
                    await channel.queue_bind(queue, "pileus", key)
        async with raw(made.rabbit, "host.h1") as channel:
            with pytest.raises(ChannelAccessRefused):
                await channel.basic_publish(b"", exchange="", routing_key="cast.compute-host.h2")
        async with raw(made.rabbit, "host.h1") as channel:
            with pytest.raises(ChannelPreconditionFailed):
                await channel.basic_publish(
                    b"", exchange="pileus", routing_key="call.conductor",
                    properties=aiormq.spec.Basic.Properties(user_id="host.h2"),
                )  # fmt: skip
        for act in ("queue_delete", "queue_purge"):
            async with raw(made.rabbit, "host.h1") as channel:
                with pytest.raises(ChannelAccessRefused):
                    await getattr(channel, act)(PARKED)

    play(scenario)


def test_a_strangers_message_is_parked_and_never_handled(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(made: Party) -> None:
        bus = await made.join()
        seen = await made.take(bus)
        async with raw(made.rabbit) as channel:
            for key in ("call.numbers", "cast.numbers", bus._address):
                await channel.basic_publish(b"anything", exchange="pileus", routing_key=key)
        await waiting(bus, PARKED, 3)
        assert seen == []
        assert caplog.text.count("it does not say who sent it") == 3
        assert await bus.call("numbers", "echo", {"n": 1}) == {"n": 1}

    play(scenario)


def test_a_wrong_password_is_refused_at_once_and_never_shown(
    rabbit: PrivateRabbit, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        runtime = Runtime("stranger")
        with pytest.raises(BrokerRefuses, match="refuses the account pileus: check its password") as refused:
            await open_transport(rabbit.url(password="guessed"), runtime)
        assert "guessed" not in str(refused.value) + caplog.text
        accepted = await open_transport(f"amqp://pileus@127.0.0.1:{rabbit.port}", runtime, password=PASSWORDS["pileus"])
        await accepted.close()
        with pytest.raises(NoSuchBus, match="There is no bus of kind 'nats'"):
            await open_transport("nats://somewhere", runtime)
        await runtime.stop()

    run(work)


def test_an_account_is_made_and_ended_while_the_broker_runs(rabbit: PrivateRabbit, run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("operator")
        url = rabbit.url().replace("pileus:of%20the%20control%20plane", "host.h3:of%20h3")
        with pytest.raises(BrokerRefuses):
            await open_transport(url, runtime)
        data = definitions([host_rights("h3")], {"host.h3": "of h3"}, runtime)
        for _ in range(2):
            rabbit.learn(data)
        transport = await open_transport(url, runtime)
        await transport.close()
        rabbit.control("delete_user", "host.h3")
        with pytest.raises(BrokerRefuses):
            await open_transport(url, runtime)
        await runtime.stop()

    run(work)


def test_tls_believes_only_a_certificate_of_our_ca_for_the_host_that_was_asked(
    rabbit: PrivateRabbit, run: Run, tmp_path: Path
) -> None:
    async def work() -> None:
        runtime = Runtime("by TLS")
        ours = Tls(authority=str(rabbit.authority.path))
        client = rabbit.authority.issue("client")
        for files in (ours, Tls(str(client.certificate), str(client.key), str(rabbit.authority.path))):
            transport = await open_transport(rabbit.url(tls=True), runtime, tls=files)
            bus = Bus(transport, runtime)
            bus.serve("echo", {"echo": echo})
            assert await bus.call("echo", "echo", {"n": 1}) == {"n": 1}
            await transport.close()
        with pytest.raises(CertificateRefused, match=r"not valid for '127\.0\.0\.1'"):
            await open_transport(rabbit.url(tls=True).replace("localhost", "127.0.0.1"), runtime, tls=ours)
        for files in (None, Tls(authority=str(Authority(tmp_path, "another").path))):
            with pytest.raises(CertificateRefused, match="must name that host and come from the CA"):
                await open_transport(rabbit.url(tls=True), runtime, tls=files)
        with pytest.raises(PlainRefused, match="write amqps://"):
            await open_transport(rabbit.url(), runtime, tls=ours)
        await rabbit.forget(TOPICS)
        await runtime.stop()

    run(work)
