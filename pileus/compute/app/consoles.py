"""Consoles of running guests, reached from outside by an address that carries a token."""

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action, check
from pileus.compute.service import Compute
from pileus.foundation.context import Context
from pileus.foundation.errors import BadRequest


class ConsoleUnavailable(BadRequest):
    """No proxy of this cloud speaks the wanted kind of console."""

    code = "compute.console.unavailable"
    message = "Unavailable console type {kind}."


async def open_console(compute: Compute, context: Context, server: Server, *, protocol: str, kind: str) -> str:
    """The address at which a console waits. Raises: ConsoleUnavailable (400), NotReady, WrongState (409)."""
    check(server, Action.GET_CONSOLE)
    raise ConsoleUnavailable(kind=kind)
