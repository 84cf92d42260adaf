"""The revocation epoch between processes: told over the bus, and nothing is remembered while it cannot be told."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pileus.foundation.bus import Broker, Bus
from pileus.foundation.context import Context
from pileus.foundation.http.authentication import TokenValidator
from pileus.foundation.http.client import Answer, Content, Peer
from pileus.foundation.revocation import Epoch, listen, tell
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.own_token import FixedToken

TOKEN = {
    "user": {"id": "u", "name": "u", "domain": {"id": "default", "name": "Default"}}, "roles": [{"name": "member"}],
    "expires_at": "2120-01-01T00:00:00.000000Z", "audit_ids": ["a"],
}  # fmt: skip


class Identity:
    """Answers every validation, counts them, and tells its epoch."""

    def __init__(self) -> None:
        self.asked = 0
        self.epoch = 1

    async def send(self, method: str, path: str, headers: dict[str, str], body: Content, timeout_s: float) -> Answer:
        self.asked += 1
        return Answer(200, {"x-pileus-epoch": str(self.epoch)}, msgspec.json.encode({"token": TOKEN}))

    def stream(self, *args: Any) -> Any:
        raise AssertionError("nothing is streamed")


class Line(Broker):
    """A broker whose way can break."""

    def __init__(self) -> None:
        super().__init__()
        self.watchers: list[Any] = []

    def watch(self, listen: Any) -> None:
        self.watchers.append(listen)

    def breaks(self) -> None:
        for watcher in self.watchers:
            watcher(False)

    def is_back(self) -> None:
        for watcher in self.watchers:
            watcher(True)


class Service:
    """A service of another process, with a validator."""

    def __init__(self, runtime: Runtime):
        self.line = Line()
        self.bus = Bus(self.line, runtime)
        self.identity, self.epoch = Identity(), Epoch(1)
        listen(self.epoch, self.bus)
        peer = Peer("identity", self.identity, runtime)
        self.validator = TokenValidator("compute", peer, FixedToken("own"), self.epoch, runtime, max_age_s=60.0)

    async def validations(self, count: int) -> int:
        """How often identity is asked for `count` requests with one token."""
        before = self.identity.asked
        headers: Mapping[str, str] = {"x-auth-token": "t"}
        for _ in range(count):
            await self.validator.authenticate(headers, Context("req-1"))
        return self.identity.asked - before


def test_news_of_a_revocation_end_what_was_remembered(run: Run, runtime: Runtime) -> None:
    async def story() -> None:
        service = Service(runtime)
        assert await service.validations(3) == 1
        there = Epoch(1)
        tell(there, service.bus)
        there.advance(2)
        service.identity.epoch = 2
        assert service.epoch.value == 2
        assert await service.validations(3) == 1
        there.advance(2)  # old news
        assert await service.validations(3) == 0

    run(story)


def test_an_answer_of_a_newer_epoch_ends_what_was_remembered_before_the_news_are_here(
    run: Run, runtime: Runtime
) -> None:
    async def story() -> None:
        service = Service(runtime)
        assert await service.validations(2) == 1
        service.identity.epoch = 5
        await service.validator.authenticate({"x-auth-token": "another"}, Context("req-2"))
        assert service.epoch.value == 5
        assert await service.validations(2) == 1

    run(story)


def test_nothing_is_remembered_while_the_bus_is_away_nor_what_was_before(run: Run, runtime: Runtime) -> None:
    async def story() -> None:
        service = Service(runtime)
        assert await service.validations(2) == 1
        service.line.breaks()
        assert await service.validations(3) == 3
        service.line.is_back()
        assert await service.validations(3) == 1
        service.line.breaks()
        service.line.is_back()
        assert await service.validations(3) == 1

    run(story)
