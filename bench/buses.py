"""What a call costs on each bus: latency one at a time, calls a second with 64 at once, casts a second.

    .venv/bin/python bench/buses.py [--calls 2000] [--amqp URL]

Asking and answering are two processes, but for the bus in memory. Without --amqp a RabbitMQ of its own is started.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pileus.foundation.bus import Broker, Bus, Delivery, Transport
from pileus.foundation.bus.opening import open_transport
from pileus.foundation.bus.socket import Hub
from pileus.foundation.runtime import Runtime

AT_ONCE = 64
BODY = {"server": {f"field{number}": "value" * 4 for number in range(25)}}  # about 800 bytes


async def serve(bus: Bus) -> None:
    taken = 0

    async def echo(delivery: Delivery) -> Any:
        return delivery.args

    async def take(delivery: Delivery) -> None:
        nonlocal taken
        taken += 1

    async def count(delivery: Delivery) -> int:
        return taken

    bus.serve("bench", {"echo": echo, "take": take, "count": count})


def answering(url: str) -> None:
    async def work() -> None:
        runtime = Runtime("answering")
        await serve(Bus(await open_transport(url, runtime), runtime))
        await asyncio.Event().wait()

    asyncio.run(work())


async def measure(name: str, transport: Transport, runtime: Runtime, calls: int) -> None:
    bus = Bus(transport, runtime)
    if name == "memory":
        await serve(bus)
    await bus.call("bench", "echo", BODY)
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await bus.call("bench", "echo", BODY)
        took.append(time.perf_counter() - began)
    began, cpu = time.perf_counter(), time.process_time()
    numbers = iter(range(calls * 2))

    async def worker() -> None:
        for _ in numbers:
            await bus.call("bench", "echo", BODY)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    rate, cpu_us = calls * 2 / (time.perf_counter() - began), (time.process_time() - cpu) / calls / 2 * 1e6
    before, began = await bus.call("bench", "count", {}), time.perf_counter()
    for number in range(calls):
        bus.cast("bench", "take", BODY)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    while await bus.call("bench", "count", {}) < before + calls:
        pass
    casts = calls / (time.perf_counter() - began)
    took.sort()
    print(
        f"{name:8} p50 {took[calls // 2] * 1e3:7.3f} ms   p99 {took[calls * 99 // 100] * 1e3:7.3f} ms   "
        f"{rate:9.0f} calls/s at {AT_ONCE}   {cpu_us:6.0f} us CPU a call   {casts:9.0f} casts/s"
    )
    bus.close()
    await transport.close()


@contextlib.contextmanager
def beside(work: Callable[[str], None], place: str) -> Iterator[None]:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(place,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


async def main(calls: int, amqp: str, directory: Path) -> None:
    runtime = Runtime("asking")
    await measure("memory", await open_transport("memory:", runtime), runtime, calls * 5)
    with beside(hub_and_answering, str(directory / "bus.sock")):
        await measure("hub", await open_transport(f"hub://{directory}/bus.sock", runtime), runtime, calls * 2)
    with beside(answering, amqp):
        await measure("rabbitmq", await open_transport(amqp, runtime), runtime, calls)
    await runtime.stop()


def hub_and_answering(path: str) -> None:
    async def work() -> None:
        broker = Broker()
        hub = Hub(broker)
        await hub.listen(Path(path))
        await serve(Bus(broker, Runtime("answering")))
        await asyncio.Event().wait()

    asyncio.run(work())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--amqp", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.amqp:
            asyncio.run(main(options.calls, options.amqp, Path(name)))
        else:
            from tests.private_rabbitmq import PrivateRabbit

            rabbit = PrivateRabbit(Path(name))
            try:
                rabbit.start()
                asyncio.run(main(options.calls, rabbit.url(), Path(name)))
            finally:
                rabbit.stop()
