"""How a flow waits for another one that a host runs, and how it stops it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from pileus.compute.domain.errors import HostUnavailable
from pileus.compute.service import Compute, host_topic
from pileus.compute.store import services
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Error, from_wire, to_wire
from pileus.foundation.flow import Cancelled, FlowRecord, StepContext
from pileus.foundation.flow.model import ENDED, OPEN, STUCK, Closed

LOOK_AGAIN_S = 2.0


async def wait_for(
    step: StepContext[Compute], flow_id: str, *, host: str, nudge: Callable[[], Awaitable[None]]
) -> FlowRecord:
    """Return the flow as it ended. A flow that has not begun after a while is nudged again.

    Raises: Cancelled when ours is; HostUnavailable when the host is down; UndoFailed, as its kind, when it is stuck.
    """
    compute = step.services
    while True:
        ended = compute.endings.expect(flow_id)
        try:
            state = await compute.journal.state_of(flow_id)
            record = await compute.journal.get(flow_id) if state in (*ENDED, STUCK) else None
            _check_stuck(record)
            if record is not None:
                return record
            if step.cancelled.is_set():
                raise Cancelled(reason="it was asked to stop")
            if state is None and step.is_repeat:
                await nudge()
            if not await _first(step, ended, LOOK_AGAIN_S):
                if await is_down(compute, host):
                    raise HostUnavailable(host=host)
                step.is_repeat = True
        finally:
            compute.endings.forget(flow_id, ended)


async def wait_for_turn(step: StepContext[Compute], names: Collection[str]) -> None:
    """Return when no flow of these names about the same server is open that began before ours; a stuck one counts not.

    What changes a server's devices goes one after another, or each would take the others' ports for its own.
    Raises: Cancelled.
    """
    compute, ours = step.services, (step.flow.created_at, step.flow.id)
    while True:
        first = next(
            (flow for flow in await compute.journal.open_about(step.subject)
             if flow.name in names and flow.state != STUCK and (flow.created_at, flow.id) < ours),
            None,
        )  # fmt: skip
        if first is None:
            return
        ended = compute.endings.expect(first.id)
        try:
            if await compute.journal.state_of(first.id) in OPEN and not step.cancelled.is_set():
                await _first(step, ended, LOOK_AGAIN_S)
        finally:
            compute.endings.forget(first.id, ended)
        if step.cancelled.is_set():
            raise Cancelled(reason="it was asked to stop")


async def _first(step: StepContext[Any], ended: Any, seconds: float) -> bool:
    """Wait for the end, for our own cancellation, or for `seconds`; False when only time passed."""
    waits = {asyncio.ensure_future(ended.wait()), asyncio.ensure_future(step.cancelled.wait())}
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()


async def cancel_flow(step: StepContext[Compute], flow_id: str, *, host: str) -> bool:
    """Have a host's flow unwind, and return when it has ended. Of a dead host it is closed without the host.

    Returns whether it has taken back what it began: a flow that was closed has not. One that has not begun yet is kept
    from beginning. Raises: UndoFailed, as its kind, when it is stuck: then what
    it began must stay ours to remove.
    """
    compute = step.services

    async def work(tx: Transaction) -> None:
        await compute.journal.forbid(tx, flow_id, subject=step.subject, home=f"host:{host}")
        await compute.journal.cancel(tx, flow_id)

    await compute.database.transact(work)
    while True:
        ended = compute.endings.expect(flow_id)
        try:
            record = await compute.journal.get(flow_id)
            if record is None or record.state in ENDED:
                return record is None or record.error is None or record.error["code"] != Closed.code
            _check_stuck(record)
            compute.bus.cast(host_topic(host), "cancel", {"flow_id": flow_id}, request_id=step.request_id)
            try:
                async with compute.runtime.timeout(LOOK_AGAIN_S):
                    await ended.wait()
            except TimeoutError:
                if await is_down(compute, host):
                    await compute.journal.close(record)
        finally:
            compute.endings.forget(flow_id, ended)


def _check_stuck(record: FlowRecord | None) -> None:
    if record is not None and record.state == STUCK:
        raise from_wire(record.error or to_wire(Error()))


async def is_down(compute: Compute, host: str) -> bool:
    """Whether the host counts as dead; see `foundation/liveness.py`."""
    service = await services.find(compute.database, host)
    if service is None or service.is_forced_down:
        return True
    return not compute.hosts_alive(host, service.beats)
