"""Sockets inside another network namespace of this machine, without another process.

A socket belongs for ever to the namespace of the thread that made it. So a thread of its own enters the namespace,
makes the socket and ends; the event loop then serves it like any other.
"""

import functools
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pileus.foundation.errors import NotFound
from pileus.foundation.runtime import Runtime

T = TypeVar("T")

NAMESPACES = Path("/run/netns")  # where `ip netns add` keeps them
_CLONE_NEWNET = 0x40000000


class NamespaceAbsent(NotFound):
    code, message = "namespace.absent", "There is no network namespace {name}."


def namespace_identity(name: str) -> int | None:
    """A number that changes when the namespace is made anew under its old name; None when there is none."""
    try:
        return (NAMESPACES / name).stat().st_ino
    except FileNotFoundError:
        return None


def is_inside(pid: int, name: str) -> bool:
    """Whether the process lives in the namespace that has this name now."""
    try:
        found = Path(f"/proc/{pid}/ns/net").stat().st_ino
    except (FileNotFoundError, ProcessLookupError):
        return False
    return found == namespace_identity(name)


def in_namespace(name: str, work: Callable[..., T], *args: Any) -> T:
    """Call `work` inside the namespace and return what it returns. Blocks. Raises NamespaceAbsent."""
    outcome: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            _enter(name)
            outcome.append(work(*args))
        except BaseException as failure:  # handed to the caller, whose thread this is not
            failures.append(failure)

    thread = threading.Thread(target=run, name=f"in {name}")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return outcome[0]


def _enter(name: str) -> None:
    """Move the calling thread into the namespace; it never comes back."""
    try:
        fd = os.open(NAMESPACES / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as absent:
        raise NamespaceAbsent(name=name) from absent
    try:
        _setns()(fd, _CLONE_NEWNET)
    finally:
        os.close(fd)


@functools.cache
def _setns() -> Callable[[int, int], None]:
    """The system call that Python has only since 3.12; found when first needed, for a cloud without wires never is."""
    import ctypes

    function = ctypes.CDLL(None, use_errno=True).setns

    def setns(fd: int, kind: int) -> None:
        if function(fd, kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"cannot enter the network namespace: {os.strerror(number)}")

    return setns


async def open_listener(runtime: Runtime, namespace: str, address: str, port: int) -> socket.socket:
    """A listening TCP socket inside the namespace, ready to be served. Raises NamespaceAbsent, OSError."""
    return await runtime.in_thread(in_namespace, namespace, _listen, address, port)


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(_family(address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
    except BaseException:
        listener.close()
        raise
    return listener


async def send_datagram(runtime: Runtime, namespace: str, device: str, target: tuple[str, int], payload: bytes) -> None:
    """Send one UDP datagram from inside the namespace as if it came in by `device`; an answer is not awaited."""
    await runtime.in_thread(in_namespace, namespace, _send, device, target, payload)


def _send(device: str, target: tuple[str, int], payload: bytes) -> None:
    with socket.socket(_family(target[0]), socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sender.sendto(payload, target)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
