"""An open console as bytes that come and go: a terminal or a connection, by its file descriptor."""

import asyncio
import os

CHUNK = 65_536


class DescriptorStream:
    """Reads and writes a descriptor without ever blocking the event loop."""

    def __init__(self, fd: int):
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        while self._fd >= 0:
            try:
                return os.read(self._fd, CHUNK)
            except BlockingIOError:
                await self._readable()
            except OSError:  # a terminal whose other end is gone
                return b""
        return b""

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and self._fd >= 0:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                await self._writable()

    async def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            os.close(fd)

    async def _readable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(self._fd, _wake, ready)
        try:
            await ready
        finally:
            if self._fd >= 0:
                self._loop.remove_reader(self._fd)

    async def _writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._fd, _wake, ready)
        try:
            await ready
        finally:
            if self._fd >= 0:
                self._loop.remove_writer(self._fd)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)


def open_terminal(path: str) -> DescriptorStream:
    """A terminal to use, without making it ours. Raises OSError."""
    return DescriptorStream(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
