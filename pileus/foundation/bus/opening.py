"""Finds the transport that an address names; each is imported only when it is meant."""

from pathlib import Path
from urllib.parse import urlsplit

from pileus.foundation import errors
from pileus.foundation.bus.broker import Broker, Transport
from pileus.foundation.runtime import Runtime
from pileus.foundation.tls import Tls


class NoSuchBus(errors.BadRequest):
    code = "bus.no-such"
    message = "There is no bus of kind {kind!r}: write memory:, hub:///PATH, amqp://HOST/VHOST or amqps://HOST/VHOST."


async def open_transport(
    url: str, runtime: Runtime, *, password: str = "", tls: Tls | None = None, timeout_s: float = 10.0
) -> Transport:
    """The bus at `url`, reached: `memory:`, `hub:/PATH`, `amqp(s)://ACCOUNT[:PASSWORD]@HOST[:PORT][/VHOST]`.

    `password` is for urls without one. Raises: NoSuchBus, HubAway, and what `RabbitTransport.connect` raises.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return Broker()
    if parts.scheme == "hub":
        from pileus.foundation.bus.socket import HubTransport

        hub = HubTransport(Path(parts.path), runtime)
        await hub.connect(timeout_s)
        return hub
    if parts.scheme in ("amqp", "amqps"):
        from pileus.foundation.bus.rabbitmq import RabbitTransport

        rabbit = RabbitTransport(url, runtime, password=password, tls=tls)
        await rabbit.connect(timeout_s)
        return rabbit
    raise NoSuchBus(kind=parts.scheme)
