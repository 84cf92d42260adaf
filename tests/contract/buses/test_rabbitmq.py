"""What only RabbitMQ can do and suffer: it dies, is wiped, has no room; and who takes from it."""

import asyncio
import os
import signal
import sys

import pytest

from pileus.foundation.bus import PARKED, BusTimeout, Delivery, rabbit_line
from pileus.foundation.bus import rabbitmq as rabbit_module
from pileus.foundation.bus.broker import MOST_WAITING
from pileus.foundation.bus.rabbit_line import MOST_REDELIVERED, PREFETCH, awaiting
from pileus.foundation.bus.rabbitmq import (
    BrokerAway,
    RabbitTransport,
)
from pileus.foundation.bus.socket import MessageTooLarge
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.contract.buses.party import Party, Play, echo, patiently, raw, until, waiting

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


def test_a_broker_that_lost_the_data_of_its_quorum_queues_is_given_new_ones(play: Play) -> None:
    """It breaks down when somebody wants to take from such a queue, and with it every connection that wants to."""

    async def scenario(made: Party) -> None:
        sending, serving = await made.join(), await made.join()
        seen = await made.take(serving)
        sending.cast("numbers", "take", {"n": 0})
        await until(lambda: seen == [0])
        await asyncio.to_thread(made.rabbit.lose_quorums)
        await until(lambda: all(transport._line is None for transport in made.transports))
        await asyncio.to_thread(made.rabbit.start)
        assert await patiently(sending, "numbers", "echo", {"n": 1}) == {"n": 1}
        sending.cast("numbers", "take", {"n": 2})
        await until(lambda: 2 in seen)
        assert max(transport.connections for transport in made.transports) <= 6

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


@pytest.mark.parametrize("how", ["power", "wipe"])
def test_what_was_asked_is_asked_again_of_a_broker_that_lost_it(play: Play, how: str) -> None:
    async def scenario(made: Party) -> None:
        asking, serving = await made.join(), await made.join()
        taken: list[int] = []

        async def take(delivery: Delivery) -> int:
            taken.append(delivery.args["n"])
            return 2 * int(delivery.args["n"])

        asked = [asyncio.ensure_future(asking.call("numbers", "take", {"n": 0}, timeout_s=90.0))]
        async with asyncio.timeout(20):
            while await asking.depth(["numbers"]) != {"numbers": 1}:
                await asyncio.sleep(0.01)
        if how == "wipe":
            await asyncio.to_thread(made.rabbit.wipe)
        else:
            made.rabbit.kill()
            await until(lambda: all(transport._line is None for transport in made.transports))
            asked.append(asyncio.ensure_future(asking.call("numbers", "take", {"n": 1}, timeout_s=90.0)))
            await asyncio.sleep(0)
            await asyncio.to_thread(made.rabbit.start)
        serving.serve("numbers", {"take": take})
        assert await asyncio.gather(*asked) == [2 * n for n in range(len(asked))]
        assert sorted(taken) == list(range(len(asked)))  # and only once

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
    monkeypatch.setattr(rabbit_line, "CONFIRM_S", 60.0)  # it may be slow once it has room again

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
