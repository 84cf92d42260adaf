"""A host's account says only what is its own to say: the table is asked before any handler."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pileus.compute.app.conductor import OPEN_TO_HOSTS
from pileus.foundation.bus import Broker, Bus, Delivery
from pileus.foundation.bus.broker import Deliver
from pileus.foundation.bus.bus import Envelope, Reply
from pileus.foundation.bus.senders import by_home, by_host, host_account, is_control
from pileus.foundation.flow.remote import journal_methods
from pileus.foundation.runtime import Runtime
from tests.conftest import Run


class Verifying(Broker):
    """A broker that knows who sends: `tell` delivers a message in the name of an account and returns the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.delivers: dict[str, Deliver] = {}
        self.replies: list[Reply] = []

    def consume(self, topic: str, deliver: Deliver) -> None:
        self.delivers[topic] = deliver

    def reply(self, address: str, message: bytes) -> None:
        self.replies.append(msgspec.msgpack.decode(message, type=Reply))

    async def tell(self, sender: str, topic: str, method: str, args: Mapping[str, Any]) -> Reply:
        envelope = Envelope("1", method, dict(args), 1, "reply.somebody")
        work = self.delivers[topic](msgspec.msgpack.encode(envelope), sender)
        assert work is not None
        await work
        return self.replies.pop()


async def served(claims: Any) -> tuple[Verifying, list[str]]:
    broker, taken = Verifying(), []
    bus = Bus(broker, Runtime("conductor"))

    async def take(delivery: Delivery) -> str:
        taken.append(delivery.sender)
        return "done"

    bus.serve("conductor", {"beat": take, "journal.write": take, "audit": take}, claims)
    return broker, taken


CLAIMS = {"beat": by_host, "journal.write": by_home}


@pytest.mark.parametrize(
    ("sender", "method", "args"),
    [
        ("", "audit", {}),
        ("", "beat", {"host": "any"}),
        ("pileus", "audit", {}),
        ("pileus.scheduler", "beat", {"host": "any"}),
        ("host.h1", "beat", {"host": "h1"}),
        ("host.h1", "journal.write", {"home": "host:h1"}),
        ("host.a.b", "beat", {"host": "a.b"}),
    ],
)
def test_what_a_sender_may_say_reaches_the_handler(run: Run, sender: str, method: str, args: dict[str, Any]) -> None:
    async def work() -> None:
        broker, taken = await served(CLAIMS)
        assert (await broker.tell(sender, "conductor", method, args)).result == "done"
        assert taken == [sender]

    run(work)


@pytest.mark.parametrize(
    ("sender", "method", "args"),
    [
        ("host.h2", "beat", {"host": "h1"}),
        ("host.h1", "beat", {}),
        ("host.h1", "beat", {"host": ["h1"]}),
        ("host.h1", "journal.write", {"home": "host:h2"}),
        ("host.h1", "journal.write", {"home": ""}),
        ("host.h1", "journal.write", {"home": "h1"}),
        ("host.h1", "audit", {}),
        ("host.h1", "no such method", {"host": "h1"}),
        ("pileusx", "audit", {}),
        ("guest", "audit", {}),
    ],
)
def test_what_it_may_not_is_refused_before_any_handler(
    run: Run, caplog: pytest.LogCaptureFixture, sender: str, method: str, args: dict[str, Any]
) -> None:
    async def work() -> None:
        broker, taken = await served(CLAIMS)
        reply = await broker.tell(sender, "conductor", method, args)
        assert reply.error is not None
        assert reply.error["kind"] == "Forbidden"
        assert reply.error["code"] == "bus.not-your-name"
        assert taken == []
        assert f"refused conductor.{method} from account {sender}" in caplog.text

    run(work)


def test_a_topic_without_claims_is_the_control_planes_alone(run: Run) -> None:
    async def work() -> None:
        broker, taken = await served(None)
        assert (await broker.tell("host.h1", "conductor", "beat", {"host": "h1"})).error is not None
        assert (await broker.tell("pileus", "conductor", "beat", {"host": "h1"})).result == "done"
        assert taken == ["pileus"]

    run(work)


def test_the_conductor_opens_to_hosts_only_what_names_the_host() -> None:
    assert {name for name in OPEN_TO_HOSTS if name.startswith("journal.")} == {
        name for name, claim in OPEN_TO_HOSTS.items() if claim is by_home
    }
    assert not {"trace", "audit", "hosts", "flows.list", "flows.abandon"} & set(OPEN_TO_HOSTS)
    assert is_control("pileus.x")
    assert not is_control(host_account("pileus"))


def test_a_host_reaches_no_flow_of_another_home(run: Run) -> None:
    """The home that a message names is its sender's; the flow that it names must be there too."""

    class Book:
        def __init__(self) -> None:
            self.touched: list[str] = []

        async def start(self, new: Any, owner: str) -> Any:
            self.touched.append(new.id)
            return None

        async def claim(self, flow_id: str, epoch: int, owner: str) -> Any:
            self.touched.append(flow_id)

        async def write(self, entry: Any) -> bool:
            self.touched.append(entry.flow_id)
            return False

        async def beat(self, flows: Any) -> Any:
            self.touched.extend(flow_id for flow_id, _ in flows)

        async def open_flows(self, home: str) -> Any:
            return []

    async def home_of(flow_id: str) -> str:
        return {"mine": "host:h1", "theirs": "host:h2"}.get(flow_id, "")

    async def work() -> None:
        broker, book = Verifying(), Book()
        methods = journal_methods(book, home_of)
        Bus(broker, Runtime("conductor")).serve("conductor", methods, dict.fromkeys(methods, by_home))
        entry = {"epoch": 1, "attempt": 1, "steps": []}
        orders: dict[str, dict[str, Any]] = {
            "journal.claim": {"flow_id": "{}", "epoch": 1, "owner": "o"},
            "journal.write": {"entry": entry | {"flow_id": "{}"}},
            "journal.beat": {"flows": [["mine", 1], ["{}", 1]]},
        }
        for method, args in orders.items():
            for flow_id, is_refused in (("theirs", True), ("mine", False), ("new", False)):
                told = msgspec.json.decode(msgspec.json.encode(args).replace(b"{}", flow_id.encode()))
                reply = await broker.tell("host.h1", "conductor", method, told | {"home": "host:h1"})
                assert (reply.error is not None) is is_refused, (method, flow_id, reply.error)
                if reply.error is not None:
                    assert reply.error["code"] == "flow.not-of-this-home"
        assert "theirs" not in book.touched
        reply = await broker.tell("pileus", "conductor", "journal.claim", orders["journal.claim"] | {"home": "host:h1"})
        assert reply.error is None

    run(work)


def test_ids_of_calls_cannot_be_guessed(run: Run) -> None:
    async def work() -> None:
        broker = Broker()
        asking, serving = Bus(broker, Runtime("a")), Bus(broker, Runtime("b"))

        async def show(delivery: Delivery) -> str:
            return delivery.id

        serving.serve("t", {"show": show})
        ids = await asyncio.gather(*(asking.call("t", "show", {}) for _ in range(300)))
        assert len({id_.split(".")[2] for id_ in ids}) == 300
        assert all(len(id_.split(".")[2]) == 16 for id_ in ids)

    run(work)
