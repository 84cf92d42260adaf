"""The invariants of compute, checked against what hosts and other services really hold. It repairs nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import HOLDS_RESOURCES, SHOULD_RUN, VmState, is_overdue
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import servers, services
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error
from pileus.foundation.flow.model import STUCK, FlowRecord

Finding = dict[str, Any]


async def audit(compute: Compute) -> list[Finding]:
    """Every violation found: which invariant, about what, what is there, and what mends it."""

    async def read(tx: Transaction) -> tuple[list[Server], list[FlowRecord], list[Server]]:
        return await servers.everything(tx), await compute.journal.all_open(tx), await servers.busy(tx)

    every, flows, busy = await compute.database.snapshot(read)
    findings = [finding for server in every for finding in _states(compute, server)]
    findings += _flows(flows, {server.id for server in every}, busy)
    findings += await _guests(compute, every)
    findings += await _claims(compute, every)
    findings += await _ports(compute, every)
    return findings


def _finding(invariant: str, subject: str, found: str, mend: str) -> Finding:
    return {"invariant": invariant, "subject": subject, "found": found, "mend": mend}


def _states(compute: Compute, server: Server) -> list[Finding]:
    found = []
    if is_overdue(server, compute.runtime.now()):
        found.append(_finding(
            "no transitional state past its deadline", server.id, f"{server.action} since {server.action_at}",
            "look at 'pileus flows'; delete the server or reset its state",
        ))  # fmt: skip
    if server.vm_state is VmState.ERROR and server.fault is None:
        found.append(_finding(
            "every ERROR has a fault", server.id, "ERROR without a fault", "reset the server's state"
        ))  # fmt: skip
    return found


def _flows(flows: Sequence[FlowRecord], alive: set[str], busy: Sequence[Server]) -> list[Finding]:
    """Busy servers have a flow, open flows have a server."""
    found, working = [], set()
    for record in flows:
        working.add(record.subject)
        if record.state == STUCK:
            found.append(_finding(
                "no flow is stuck", record.id, f"{record.name} of {record.subject}",
                f"pileus flows resume {record.id}, or abandon",
            ))  # fmt: skip
        elif record.subject not in alive:
            found.append(_finding(
                "every flow has its server", record.id, f"{record.name} of {record.subject}, which is gone",
                f"pileus flows abandon {record.id}",
            ))  # fmt: skip
    for server in busy:
        if server.id not in working:
            found.append(_finding(
                "an accepted request is not lost", server.id, f"{server.task_state} and no flow works on it",
                "delete the server or reset its state",
            ))  # fmt: skip
    return found


async def _guests(compute: Compute, every: list[Server]) -> list[Finding]:
    """Guests on a host are the servers of that host."""
    found = []
    for row in await services.all_services(compute.database):
        if row.name != services.HOST_SERVICE or not compute.hosts_alive(row.host, row.beats):
            continue
        try:
            answer = await compute.bus.call(host_topic(row.host), "guests", {})
        except Error as error:
            found.append(_finding("every host answers", row.host, error.text, "start the host's compute service"))
            continue
        found += _compare_guests(row.host, answer, every)
    return found


def _compare_guests(host: str, answer: Mapping[str, Any], every: list[Server]) -> list[Finding]:
    found = []
    here = {server.id: server for server in every if server.host == host}
    guests = {guest["server_id"]: guest for guest in answer["guests"]}
    for server_id in guests.keys() - here.keys():
        found.append(_finding(
            "guests on a host are servers of that host", server_id, f"a guest on {host} without a server there",
            "restart the host's compute service: it removes guests that were deleted or moved",
        ))  # fmt: skip
    for server_id, server in here.items():
        if server_id not in guests and server.vm_state in SHOULD_RUN and server.action is None:
            found.append(_finding(
                "servers of a host have a guest", server_id, f"no guest on {host}", "reboot the server hard"
            ))  # fmt: skip
    for name in answer["unknown"]:
        found.append(_finding(
            "no unknown guests", name, f"a guest on {host} that is not ours", "nothing, if it is meant to be there"
        ))  # fmt: skip
    return found


async def _claims(compute: Compute, every: list[Server]) -> list[Finding]:
    """No allocation without a server, and the reverse."""
    found = []
    held: dict[str, str] = {}
    for row in await services.all_services(compute.database):
        if row.name == services.HOST_SERVICE:
            for consumer in await compute.placement.consumers(row.id):
                held[consumer] = row.host
    by_id = {server.id: server for server in every}
    for consumer, host in held.items():
        if consumer not in by_id:
            found.append(_finding(
                "no allocation without a server", consumer, f"holds resources of {host}",
                f"openstack resource provider allocation delete {consumer}",
            ))  # fmt: skip
    for server in every:
        holds = server.host is not None and server.vm_state in HOLDS_RESOURCES and server.action is None
        if holds and server.vm_state is not VmState.ERROR and held.get(server.id) != server.host:
            found.append(_finding(
                "every placed server holds its claim", server.id, f"nothing claimed on {server.host}",
                "migrate or delete the server",
            ))  # fmt: skip
    return found


async def _ports(compute: Compute, every: list[Server]) -> list[Finding]:
    """No port whose server is gone."""
    alive = {server.id for server in every}
    return [
        _finding(
            "no port whose owner is gone", port["id"], f"belongs to server {port['device_id']}",
            f"openstack port delete {port['id']}",
        )
        for port in await compute.networks.server_ports(compute.own_authority())
        if port["device_id"] not in alive
    ]  # fmt: skip
