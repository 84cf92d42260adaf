"""The 28 steps of a server's launch, read from what its flows recorded: nothing here is made up.

A missing event is shown as missing. Hosts are named to administrators only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pileus.compute.domain.launch_steps import STEPS
from pileus.compute.flows.launch_server import NAME as LAUNCH
from pileus.compute.flows.launch_server import build_id
from pileus.compute.service import Compute
from pileus.foundation import trace
from pileus.foundation.errors import NotFound
from pileus.foundation.flow import FlowRecord, StepRecord
from pileus.foundation.flow.model import DONE, RUNNING
from pileus.foundation.trace import Event

HOST_FACTS = frozenset({"host", "chosen"})
_OUTCOMES = {"running": "running", "undoing": "failed", "failed": "failed", "stuck": "stuck", "done": "active"}


class NoTrace(NotFound):
    code, message = "compute.trace.none", "Server {server_id} has no launch on record."


async def launch_trace(compute: Compute, server_id: str, *, show_hosts: bool) -> dict[str, Any]:
    """The launch of a server as design section 5 shapes it. Raises: NoTrace (404)."""
    launch = next((flow for flow in await compute.journal.of_subject(server_id) if flow.name == LAUNCH), None)
    if launch is None:
        raise NoTrace(server_id=server_id)
    first = trace.decode(launch.events)
    audit_id = next((str(event.data.get("audit_id", "")) for event in first if event.step == 5), "")
    opening = await _issued(compute, audit_id) + first
    attempts = []
    for number in range(1, launch.attempt + 1):
        build = await compute.journal.get(build_id(launch.id, number))
        attempts.append(_attempt(number, launch, build, opening, show_hosts=show_hosts))
    return {"server": server_id, "request_id": launch.request_id, "attempts": attempts}


async def _issued(compute: Compute, audit_id: str) -> list[Event]:
    """Steps 1 and 2: how the launch's token was issued, if identity still knows."""
    if not audit_id:
        return []
    found = await compute.bus.call("identity", "issued", {"audit_id": audit_id})
    if found is None:
        return []
    ended = found["started_at"] + found["duration_us"]
    data = {"methods": found["methods"], "request_id": found["request_id"]}
    return [
        Event(1, "client", "identity", found["started_at"], found["duration_us"], process=found["process"], data=data),
        Event(2, "identity", "client", ended, 0, process=found["process"], data={"audit_id": audit_id}),
    ]


def _attempt(
    number: int, launch: FlowRecord, build: FlowRecord | None, opening: list[Event], *, show_hosts: bool
) -> dict[str, Any]:
    own = [step for step in launch.steps if step.attempt == number]
    events = [*opening, *_events(own), *(_events(build.steps) if build is not None else [])]
    steps = sorted((event for event in events if event.step), key=lambda event: (event.step, event.sub, event.start))
    place = next((step for step in own if step.name == "place" and step.output), None)
    missing = sorted({step.number for step in STEPS} - {event.step for event in steps})
    shown: dict[str, Any] = {
        "attempt": number,
        "host": place.output["host"] if place is not None and show_hosts else None,
        "outcome": _outcome(number, launch, build),
        "steps": [_shown(event, show_hosts=show_hosts) for event in steps],
        "missing": missing,
    }
    error = (build.error if build is not None else None) or (launch.error if number == launch.attempt else None)
    if error is not None and shown["outcome"] != "active":
        shown["error"] = error["text"]
    return shown


def _outcome(number: int, launch: FlowRecord, build: FlowRecord | None) -> str:
    """What became of an attempt. The server is ACTIVE when its build ends, a little before the launch hears of it."""
    if number < launch.attempt:
        return "failed"
    is_built = launch.state == RUNNING and build is not None and build.state == DONE
    return "active" if is_built else _OUTCOMES[launch.state]


def _events(steps: Iterable[StepRecord]) -> list[Event]:
    return [event for step in steps if step.events for event in trace.decode(step.events)]


def _shown(event: Event, *, show_hosts: bool) -> dict[str, Any]:
    data: Mapping[str, Any] = event.data
    if not show_hosts:
        data = {key: value for key, value in data.items() if key not in HOST_FACTS}
    return {
        "step": event.step,
        "sub": event.sub,
        "try": event.attempt_try,
        "start": event.start,
        "duration_ms": event.duration_us / 1000,
        "from": event.source,
        "to": event.target,
        "process": event.process if show_hosts else "",
        "cached": event.cached,
        "validated_by": event.validated_by,
        "data": dict(data),
    }
