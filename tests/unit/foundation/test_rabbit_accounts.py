"""What accounts at RabbitMQ may, read from the data that RabbitMQ imports."""

import base64
import hashlib
import re

import pytest

from pileus.foundation.bus.rabbit_accounts import Account, control_account, definitions, host_rights
from pileus.foundation.runtime import Runtime

HOST = host_rights("n1.example", ["lvm"])


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        (
            HOST.configure,
            ("call.compute-host.n1.example", "cast.network-host.n1.example", "cast.volume-host.lvm", "amq.gen-x1"),
            ("call.compute-host.n2", "call.compute-host.n1xexample", "call.conductor", "pileus", "pileus.parked", ""),
        ),
        (
            HOST.write,
            ("pileus", "pileus.parked", "amq.gen-x1", "cast.compute-host.n1.example"),
            ("amq.default", "", "pileus.news.flows", "cast.compute-host.n2", "cast.scheduler"),
        ),
        (
            HOST.read,
            ("pileus", "amq.gen-x1", "call.volume-host.lvm"),
            ("pileus.parked", "pileus.news.flows", "call.volume-host.other", "cast.conductor"),
        ),
        (
            HOST.sends_to,
            ("call.conductor", "cast.volume-conductor", "call.network", "reply.pileus.0a1b", "reply.pileus.x.0a"),
            ("call.scheduler", "cast.compute-host.n2", "call.conductor.x", "xcall.conductor", "reply.#", "call.image"),
        ),
        (
            HOST.takes,
            ("call.compute-host.n1.example", "reply.host.n1.example.0a1b"),
            ("reply.host.n2.0a", "reply.pileus.0a", "reply.host.n1.example.#", "reply.host.n1.example.*", "#"),
        ),
        (control_account().write, ("pileus", "pileus.news.x", "cast.any", "amq.gen-1"), ("other", "amq.default")),
    ],
)
def test_patterns_match_what_an_account_may_and_nothing_else(
    pattern: str, allowed: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    for name in allowed:
        assert re.search(pattern, name), name
    for name in refused:
        assert not re.search(pattern, name), name


def test_definitions_carry_salted_hashes_and_every_accounts_rights() -> None:
    accounts: list[Account] = [control_account(), HOST]
    passwords = {"pileus": "secret one", "host.n1.example": "secret two"}
    data = definitions(accounts, passwords, Runtime("test"), vhost="cloud")
    assert "secret" not in str(data)
    for user in data["users"]:
        raw = base64.b64decode(user["password_hash"])
        assert raw[4:] == hashlib.sha256(raw[:4] + passwords[user["name"]].encode()).digest()
        assert user["tags"] == ""
    for kind in ("permissions", "topic_permissions"):
        assert [entry["user"] for entry in data[kind]] == ["pileus", "host.n1.example"]
        assert {entry["vhost"] for entry in data[kind]} == {"cloud"}
    assert {entry["exchange"] for entry in data["topic_permissions"]} == {"pileus"}
