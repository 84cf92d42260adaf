"""Listens: an application on a TCP port or a socket file, inside our own event loop."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime

BACKLOG = 2048


class CannotListen(Unavailable):
    code = "http.cannot-listen"
    message = "Cannot listen on {where}: {reason}. Stop the program that uses it, or choose another with --port."


class _Quiet(uvicorn.Server):
    """Signals belong to whoever runs the cloud."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """One listening socket with an application behind it."""

    def __init__(self, server: _Quiet, task: "asyncio.Task[None]"):
        self._server = server
        self._task = task

    async def stop(self) -> None:
        """Answer what is under way, then close."""
        self._server.should_exit = True
        await self._task


def bind_tcp(address: str, port: int) -> socket.socket:
    """Raises: CannotListen."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise CannotListen(where=f"{address}:{port}", reason=os.strerror(error.errno or 0)) from error
    return listening


def bind_file(path: Path) -> socket.socket:
    """A socket file that only its owner can open; one left over is replaced. Raises: CannotListen."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        listening.close()
        raise CannotListen(where=str(path), reason=os.strerror(error.errno or 0)) from error
    return listening


async def listen(
    app: Callable[..., Any], listening: socket.socket, runtime: Runtime, tls: Mapping[str, Any] | None = None
) -> Listener:
    """Serve `app` on a bound socket; returns once requests are answered. With `tls` nobody is answered plainly."""
    config = uvicorn.Config(
        app, http="httptools", ws="none", loop="none", lifespan="off", access_log=False, log_config=None,
        server_header=False, proxy_headers=False, backlog=BACKLOG, timeout_keep_alive=75,
        timeout_graceful_shutdown=5, **(tls or {}),
    )  # fmt: skip
    server = _Quiet(config)
    task = runtime.spawn(server.serve(sockets=[listening]), f"listen {listening.getsockname()}")
    while not server.started:
        if task.done():
            await task
            raise CannotListen(where=str(listening.getsockname()), reason="the server ended at once")
        await asyncio.sleep(0.001)
    return Listener(server, task)
