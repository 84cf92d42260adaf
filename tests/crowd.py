"""Many who launch and delete servers at once while their cloud is killed, and the account of what they were promised.

The judge asks the public API and the cloud's auditor of the life that follows the last kill.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pileus.foundation.errors import NotFound, Unavailable
from pileus.rest import Rest
from tests.process import CloudProcess, wait_until

PATIENCE_S = 240.0


@dataclass
class Promise:
    """What one of the crowd asked for and was told: a request without an answer may have been taken or not."""

    name: str
    server_id: str = ""
    is_asked_to_go: bool = False
    is_sure_to_go: bool = False


class Crowd:
    """People in threads of their own; each launches one server, and some delete it."""

    def __init__(self, process: CloudProcess, admin: Rest, template: dict[str, Any], chance: random.Random):
        self._process = process
        self._admin = admin
        self._template = template
        self._chance = chance
        self._lives = threading.Event()
        self._lives.set()

    def live_through(self, size: int, *, kills: int, within_s: float) -> list[Promise]:
        """Let everybody act, and kill the cloud so often meanwhile, at random moments."""
        seeds = [self._chance.random() for _ in range(size)]
        with ThreadPoolExecutor(size) as people:
            spread_s = within_s * kills
            acts = [people.submit(self._act, n, random.Random(seed), spread_s) for n, seed in enumerate(seeds)]
            for _ in range(kills):
                time.sleep(self._chance.random() * within_s)
                self._lives.clear()
                self._process.kill()
                self._process.pileus("up", "--detach")
                self._lives.set()
            return [act.result(PATIENCE_S) for act in acts]

    def _act(self, number: int, chance: random.Random, spread_s: float) -> Promise:
        promise = Promise(f"crowd-{number}")
        time.sleep(chance.random() * spread_s)
        self._lives.wait(PATIENCE_S)
        facts = {"name": promise.name, "metadata": {"pileus:delay": f"spawn:{chance.choice((0, 0.1, 1))}"}}
        try:
            made = self._admin.post("compute", "/servers", {"server": self._template | facts}, version="2.90")
            promise.server_id = made["server"]["id"]
        except Unavailable:
            pass
        if promise.server_id and chance.random() < 0.5:
            time.sleep(chance.random())
            self._delete(promise)
        return promise

    def _delete(self, promise: Promise) -> None:
        self._lives.wait(PATIENCE_S)
        promise.is_asked_to_go = True
        try:
            self._admin.send("compute", "DELETE", f"/servers/{promise.server_id}")
            promise.is_sure_to_go = True
        except Unavailable:
            pass

    # -- the account ------------------------------------------------------------------------------------------------
    def rest(self) -> list[dict[str, Any]]:
        """Every server, once nothing is under way any more."""
        wait_until(lambda: self._process.document("flows", "list") == [], "all long work ends", PATIENCE_S)
        found: list[dict[str, Any]] = self._admin.get("compute", "/servers/detail")["servers"]
        return found

    def broken(self, promises: list[Promise]) -> list[str]:
        """Every promise that was not kept."""
        servers = self.rest()
        names = [server["name"] for server in servers]
        wrong = [f"{name} is there {names.count(name)} times" for name in set(names) if names.count(name) > 1]
        by_id = {server["id"]: server for server in servers}
        for promise in promises:
            server = by_id.get(promise.server_id)
            if server is None and promise.server_id and not promise.is_asked_to_go:
                wrong.append(f"{promise.name} was accepted and is lost")
            if server is not None and promise.is_sure_to_go and server["status"] != "ERROR":
                wrong.append(f"{promise.name} was to be deleted and is {server['status']}")
        wrong += [f"{server['name']} is {server['status']}" for server in servers if not _rests(server)]
        return [*wrong, *map(str, self._process.document("audit")["findings"])]

    def leave(self) -> None:
        """Delete whatever is there."""
        for server in self.rest():
            try:
                self._admin.send("compute", "DELETE", f"/servers/{server['id']}")
            except NotFound:
                continue
        assert self.rest() == []


def _rests(server: dict[str, Any]) -> bool:
    """ACTIVE, or in ERROR with a reason."""
    is_told = bool(server.get("fault", {}).get("message"))
    return server["OS-EXT-STS:task_state"] is None and (
        server["status"] == "ACTIVE" or (server["status"] == "ERROR" and is_told)
    )
