"""Questions to the services: what runs, what is stuck, what is broken."""

from typing import Any

from pileus.foundation.errors import Conflict, Error, NotFound
from pileus.operations.service import Operations

SECOND_LOOK_S = 0.5


class NoSuchFlow(NotFound):
    code, message = "operations.no-flow", "There is no flow {flow_id} that is open or stuck."


class NotStuck(Conflict):
    code, message = "operations.not-stuck", "Flow {flow_id} is {state}: only a stuck one waits for an operator."


async def trace(operations: Operations, server_id: str, *, show_hosts: bool, project_id: str | None) -> Any:
    """The 28 steps of a server's launch; `project_id` limits whose servers may be looked at."""
    args = {"server_id": server_id, "show_hosts": show_hosts, "project_id": project_id}
    return await operations.bus.call("conductor", "trace", args)


async def flows(operations: Operations) -> list[dict[str, Any]]:
    """All long work of every service that has not ended."""
    found: list[dict[str, Any]] = []
    for service, topic in operations.owners.items():
        answer = await operations.bus.call(topic, "flows.list", {})
        found.extend({"service": service, "is_late": _is_late(operations, flow)} | flow for flow in answer)
    return found


def _is_late(operations: Operations, flow: dict[str, Any]) -> bool:
    """Whether a flow should have ended by now."""
    return bool(operations.runtime.now() - flow["created_at"] > flow.get("deadline_s", 3600.0) * 1_000_000)


async def flow(operations: Operations, flow_id: str) -> dict[str, Any]:
    """Raises: NoSuchFlow (404)."""
    for service, topic in operations.owners.items():
        answer: dict[str, Any] | None = await operations.bus.call(topic, "flows.show", {"flow_id": flow_id})
        if answer is not None:
            return {"service": service, **answer}
    raise NoSuchFlow(flow_id=flow_id)


async def resume(operations: Operations, flow_id: str, *, abandon: bool = False) -> dict[str, Any]:
    """Let a stuck flow try its undo again, or give it up. Raises: NoSuchFlow (404), NotStuck (409)."""
    found = await flow(operations, flow_id)
    method = "flows.abandon" if abandon else "flows.resume"
    if not await operations.bus.call(operations.owners[found["service"]], method, {"flow_id": flow_id}):
        raise NotStuck(flow_id=flow_id, state=found["state"])
    return await flow(operations, flow_id)


async def audit(operations: Operations) -> dict[str, Any]:
    """Every invariant that does not hold, by service: what is there and what should be.

    Rows, hosts and other services are looked at one after the other while the cloud is at work: what is found counts
    if it is still there at a second look.
    """
    findings: list[dict[str, Any]] = []
    for service, topic in operations.owners.items():
        found = await _audited(operations, service, topic)
        if found:
            await operations.runtime.sleep(SECOND_LOOK_S)
            again = {_what(finding) for finding in await _audited(operations, service, topic)}
            found = [finding for finding in found if _what(finding) in again]
        findings += found
    return {"clean": not findings, "findings": findings}


async def _audited(operations: Operations, service: str, topic: str) -> list[dict[str, Any]]:
    try:
        answer = await operations.bus.call(topic, "audit", {}, timeout_s=120.0)
    except Error as error:
        answer = [{"invariant": "answers", "subject": service, "found": error.text, "mend": "pileus status"}]
    return [{"service": service} | finding for finding in answer]


def _what(finding: dict[str, Any]) -> tuple[str, str]:
    return finding["invariant"], finding["subject"]


async def status(operations: Operations) -> dict[str, Any]:
    """The parts of the cloud and how they are; while messages do not arrive, `trouble` and what else is known."""
    trouble = operations.bus.trouble
    return {
        "version": operations.version,
        "region": operations.region,
        "up_s": (operations.runtime.now() - operations.started_at) / 1_000_000,
        "trouble": trouble,
        **({} if trouble else await _asked(operations)),
        **await operations.describe(),
    }


async def _asked(operations: Operations) -> dict[str, Any]:
    under_way = await flows(operations)
    hosts = await operations.bus.call("conductor", "hosts", {})
    return {
        "hosts": hosts,
        "open_flows": len(under_way),
        "late_flows": [flow["id"] for flow in under_way if flow["is_late"]],
        "queues": await operations.bus.depth(_topics(operations, [host["host"] for host in hosts])),
    }


def _topics(operations: Operations, hosts: list[str]) -> list[str]:
    """Where messages may wait that this process itself neither sends nor takes."""
    parts = ("compute-host", "network-host")
    return [
        *operations.owners.values(),
        "scheduler",
        "network",
        *(f"{part}.{host}" for part in parts for host in hosts),
    ]
