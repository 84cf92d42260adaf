"""The accounts of a cloud's parts at RabbitMQ and their rights, as data that RabbitMQ imports.

The control plane's account may all that is named as the bus names it. A host's may take what is sent to its own topics
and to its own reply addresses, and may send to those who serve hosts, and replies. What is sent names its sender, which
RabbitMQ verifies, so nobody speaks in another's name.

The same data belongs into RabbitMQ's setting `load_definitions`: then the accounts come back by themselves when the
broker was reset.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pileus.foundation.bus.broker import PARKED
from pileus.foundation.bus.senders import CONTROL, host_account
from pileus.foundation.runtime import Runtime

EXCHANGE = "pileus"
"""Where calls, casts and replies go; the routing key says to whom."""

SERVE_HOSTS = ("conductor", "network", "volume-conductor", "operations")
HOST_TOPICS = ("compute-host", "network-host")
_OWN_QUEUES = r"amq\.gen-.*"  # the broker names them, and they are exclusive: only their connection can use them


@dataclass(frozen=True)
class Account:
    """Patterns over names: of queues and exchanges, and of routing keys of the exchange `pileus`."""

    name: str
    configure: str
    write: str
    read: str
    sends_to: str
    takes: str


def control_account(name: str = CONTROL) -> Account:
    """The control plane, or one of its parts with a name of its own: `pileus.NAME`."""
    names = rf"^(pileus(\..*)?|(call|cast)\..*|{_OWN_QUEUES})$"
    return Account(name, names, names, names, sends_to=".*", takes=".*")


def host_rights(host: str, backends: Sequence[str] = ()) -> Account:
    """A hypervisor host, with the volume back ends that it holds."""
    topics = [f"{part}.{host}" for part in HOST_TOPICS] + [f"volume-host.{backend}" for backend in backends]
    own, served = _any_of(r"(call|cast)\.", topics), _any_of(r"(call|cast)\.", SERVE_HOSTS)
    account = host_account(host)
    return Account(
        account,
        configure=rf"^({own}|{_OWN_QUEUES})$",
        write=rf"^({own}|{_OWN_QUEUES}|{EXCHANGE}|{re.escape(PARKED)})$",
        read=rf"^({own}|{_OWN_QUEUES}|{EXCHANGE})$",
        sends_to=rf"^({served}|reply\.[^*#]+)$",
        takes=rf"^({own}|reply\.{re.escape(account)}\.[0-9a-f]+)$",
    )


def _any_of(prefix: str, names: Sequence[str]) -> str:
    return f"{prefix}({'|'.join(re.escape(name) for name in names)})"


def definitions(
    accounts: Sequence[Account], passwords: Mapping[str, str], runtime: Runtime, vhost: str = "/"
) -> dict[str, Any]:
    """What RabbitMQ imports. Passwords are in it only as salted hashes; the same input gives other salts each time."""
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": account.name,
                "password_hash": _hash(passwords[account.name], runtime.random_bytes(4)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for account in accounts
        ],
        "permissions": [
            {
                "user": account.name, "vhost": vhost, "configure": account.configure, "write": account.write,
                "read": account.read,
            }
            for account in accounts
        ],
        "topic_permissions": [
            {
                "user": account.name, "vhost": vhost, "exchange": EXCHANGE, "write": account.sends_to,
                "read": account.takes,
            }
            for account in accounts
        ],
    }  # fmt: skip


def _hash(password: str, salt: bytes) -> str:
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
