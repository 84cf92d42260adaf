"""Who may say what: accounts of the control plane may call everything, a host's only what it says of itself.

A transport with accounts of its own (RabbitMQ) verifies who sent a message; the bus compares that with whom the message
claims to come from, before any handler sees it. Where only parts of the cloud can send, there is no account to compare.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pileus.foundation import errors

CONTROL = "pileus"
"""The control plane's account; names below it (`pileus.scheduler`) are its too."""
HOST = "host."

Claim = Callable[[Mapping[str, Any]], str]
"""The account in whose name a message's arguments speak."""


class NotYourName(errors.Forbidden):
    code, message = "bus.not-your-name", "The account {sender} may not ask {topic} for {method} in this way."


def host_account(host: str) -> str:
    return HOST + host


def is_control(account: str) -> bool:
    return account == CONTROL or account.startswith(f"{CONTROL}.")


def by_host(args: Mapping[str, Any]) -> str:
    """A message that names its host."""
    return host_account(str(args.get("host")))


def by_home(args: Mapping[str, Any]) -> str:
    """A message about flows that names their home, `host:NAME`."""
    kind, _, host = str(args.get("home")).partition(":")
    return host_account(host) if kind == "host" else ""
