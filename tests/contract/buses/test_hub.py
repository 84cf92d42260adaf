"""What only the hub's socket can suffer: hubs and members that die, strangers, rubbish."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from pileus.foundation.bus import Broker, Bus, BusTimeout, Delivery
from pileus.foundation.bus import socket as hub_socket
from pileus.foundation.bus.socket import Hub, HubAway, HubTransport, MessageTooLarge
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.contract.buses.party import echo, until

SERVING = """
import asyncio, sys
from pathlib import Path
from pileus.foundation.bus import Bus
from pileus.foundation.bus.socket import HubTransport
from pileus.foundation.runtime import Runtime

async def main():
    runtime = Runtime("serving")
    transport = HubTransport(Path(sys.argv[1]), runtime)
    bus = Bus(transport, runtime)

    async def stall(delivery):
        bus.cast("signs", "begun", {})
        await asyncio.Event().wait()

    bus.serve("work", {"do": stall})
    await transport.connect()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_only_its_owner_can_open_the_socket_file(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        hub = Hub(Broker())
        await hub.listen(tmp_path / "bus.sock")
        assert stat.S_IMODE((tmp_path / "bus.sock").stat().st_mode) == 0o600
        hub.stop()
        assert not (tmp_path / "bus.sock").exists()

    run(work)


def test_who_finds_no_hub_says_where_it_looked(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("alone")
        with pytest.raises(HubAway, match="nowhere.sock"):
            await HubTransport(tmp_path / "nowhere.sock", runtime).connect(timeout_s=0.05)
        await runtime.stop()

    run(work)


def test_a_member_finds_the_next_hub_and_brings_what_was_sent_meanwhile(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        path, runtime = tmp_path / "bus.sock", Runtime("member")
        first = Hub(Broker())
        await first.listen(path)
        transport = HubTransport(path, runtime)
        bus = Bus(transport, runtime)
        bus.serve("member", {"echo": echo})
        heard: list[int] = []
        bus.subscribe("news", lambda event, args: heard.append(args["n"]))
        await transport.connect()
        assert await bus.call("member", "echo", {"n": 1}) == {"n": 1}
        first.stop()
        await until(lambda: transport._line is None)
        meanwhile = asyncio.ensure_future(bus.call("keeper", "echo", {"n": 2}))

        broker, keeper = Broker(), Runtime("keeper")
        other = Bus(broker, keeper)
        other.serve("keeper", {"echo": echo})
        second = Hub(broker)
        await second.listen(path)
        assert await meanwhile == {"n": 2}
        assert transport.connections == 2
        assert await other.call("member", "echo", {"n": 3}) == {"n": 3}
        other.publish("news", "told", {"n": 4})
        await until(lambda: heard == [4])
        await transport.close()
        second.stop()
        await runtime.stop()
        await keeper.stop()

    run(work)


def test_a_process_killed_at_work_is_dropped_and_the_next_message_goes_to_another(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        broker, runtime = Broker(), Runtime("hub")
        bus = Bus(broker, runtime)
        hub = Hub(broker)
        await hub.listen(tmp_path / "bus.sock")
        begun = asyncio.Event()

        async def sign(delivery: Delivery) -> None:
            begun.set()

        bus.serve("signs", {"begun": sign})
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVING, str(tmp_path / "bus.sock"), cwd=os.getcwd()
        )
        call = asyncio.ensure_future(bus.call("work", "do", {}, timeout_s=5.0))
        await begun.wait()
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await until(lambda: hub.members == 0)
        bus.serve("work", {"do": echo})
        assert await bus.call("work", "do", {"n": 1}) == {"n": 1}  # not taken to the dead one
        call.cancel()
        with pytest.raises((asyncio.CancelledError, BusTimeout)):
            await call
        hub.stop()
        await runtime.stop()

    run(work)


def test_what_was_asked_of_a_hub_that_went_is_asked_of_the_next(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("member")
        first, second = Broker(), Broker()
        hubs = Hub(first), Hub(second)
        await hubs[0].listen(tmp_path / "bus.sock")
        transport = HubTransport(tmp_path / "bus.sock", runtime)
        await transport.connect()
        asking = Bus(transport, runtime)
        asked = [asyncio.ensure_future(asking.call("echo", "echo", {"n": 0}))]
        await until(lambda: first.waiting() == {"echo": 1})
        hubs[0].stop()  # with what was in it
        await until(lambda: transport.trouble != "")
        asked.append(asyncio.ensure_future(asking.call("echo", "echo", {"n": 1})))
        await asyncio.sleep(0)
        await hubs[1].listen(tmp_path / "bus.sock")
        await until(lambda: second.waiting() == {"echo": 2})
        Bus(second, runtime).serve("echo", {"echo": echo})
        assert await asyncio.gather(*asked) == [{"n": 0}, {"n": 1}]
        hubs[1].stop()
        await runtime.stop()

    run(work)


def test_a_stranger_who_sends_rubbish_is_shown_out_and_others_go_on(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        broker, runtime = Broker(), Runtime("member")
        hub = Hub(broker)
        await hub.listen(tmp_path / "bus.sock")
        transport = HubTransport(tmp_path / "bus.sock", runtime)
        await transport.connect()
        bus = Bus(transport, runtime)
        bus.serve("echo", {"echo": echo})
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bus.sock"))
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "bus.sock"))
        writer.write(hub_socket._frame(hub_socket._SEND, "echo", b"\xc1 no envelope"))
        writer.write(hub_socket._frame(99, "of a later release"))
        await until(lambda: hub.members == 2)
        assert await bus.call("echo", "echo", {"n": 1}) == {"n": 1}
        assert transport.connections == 1
        writer.close()
        await transport.close()
        hub.stop()
        await runtime.stop()

    run(work)


def test_a_message_beyond_the_limit_is_refused_to_its_sender(tmp_path: Path, run: Run) -> None:
    async def work() -> None:
        runtime = Runtime("sender")
        transport = HubTransport(tmp_path / "bus.sock", runtime)
        with pytest.raises(MessageTooLarge, match="at most 67108864"):
            transport.cast("topic", bytes(hub_socket.MOST_BYTES + 1))
        await runtime.stop()

    run(work)
