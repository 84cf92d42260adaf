"""Processes on a RabbitMQ, made and put away by a test, and what they wait for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiormq

from pileus.foundation.bus import Bus, BusTimeout, Delivery
from pileus.foundation.bus.rabbitmq import RabbitTransport
from pileus.foundation.runtime import Runtime
from tests.private_rabbitmq import PrivateRabbit

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

Play = Callable[[Scenario], None]


async def echo(delivery: Delivery) -> Any:
    return delivery.args


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.001)


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
