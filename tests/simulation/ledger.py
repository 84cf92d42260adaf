"""What tenants were promised and told, and how it compares with what there is in the end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pileus.compute.domain.server_states import VmState
from tests.holdings import Holdings, is_half_deleted


@dataclass
class Thing:
    """Something that a tenant asked for. `is_sure`: the cloud said that it took the request."""

    kind: str
    name: str
    id: str = ""
    is_sure: bool = False
    gone: str = ""  # "", "asked" (may be gone), "promised" (will be gone), "done" (is gone)
    facts: dict[str, str] = field(default_factory=dict)


class Ledger:
    """Everything that one history asked for."""

    def __init__(self) -> None:
        self.things: list[Thing] = []
        self.revoked: list[tuple[str, float]] = []  # tokens, and when they ended

    def add(self, thing: Thing) -> Thing:
        self.things.append(thing)
        return thing

    def alive(self, kind: str) -> list[Thing]:
        """What can still be asked for by id."""
        return [thing for thing in self.things if thing.kind == kind and thing.id and not thing.gone]

    # -- the account ----------------------------------------------------------------------------------------------
    def settle(self, held: Holdings) -> Iterator[str]:
        """Every promise that was not kept, and everything that nobody asked for."""
        for thing in self.things:
            yield from _CHECKS[thing.kind](thing, held)
        asked = {thing.name for thing in self.things if thing.kind == "server"}
        yield from (f"nobody asked for {server}" for server in held.servers.values() if server.name not in asked)


def _server(thing: Thing, held: Holdings) -> Iterator[str]:
    found = [server for server in held.servers.values() if server.name == thing.name]
    if len(found) > 1:
        yield f"{thing.name} was launched {len(found)} times"
    if thing.is_sure and not thing.gone and not found:
        yield f"{thing.name} was promised and is not there"
    if thing.id and thing.id in held.deleted and not thing.gone:
        yield f"{thing.name} was deleted and nobody asked for it"
    if thing.gone in ("promised", "done") and found and not is_half_deleted(found[0]):
        yield f"{found[0]} was to be deleted"
    for server in found:
        if server.vm_state is VmState.ERROR and server.fault is None:
            yield f"{server} does not say why"


def _volume(thing: Thing, held: Holdings) -> Iterator[str]:
    found = [volume for volume in held.volumes.values() if volume.name == thing.name]
    if len(found) > 1:
        yield f"volume {thing.name} was made {len(found)} times"
    if thing.is_sure and not thing.gone and not found:
        yield f"volume {thing.name} was promised and is not there"
    if thing.gone == "promised" and found and found[0].status != "error_deleting":
        yield f"volume {thing.name} is {found[0].status} and was to be deleted"


def _row(thing: Thing, held: Holdings) -> Iterator[str]:
    """What is made and removed at once: networks, ports, keypairs."""
    is_there = thing.id in held.names[thing.kind]
    if thing.is_sure and not thing.gone and not is_there:
        yield f"{thing.kind} {thing.name} was made and is not there"
    if thing.gone == "done" and is_there:
        yield f"{thing.kind} {thing.name} was removed and is there"


_CHECKS = {"server": _server, "volume": _volume, "network": _row, "port": _row, "keypair": _row}
