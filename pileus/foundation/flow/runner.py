"""Runs flows: forward step by step, on failure back again; adopts what others left behind."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pileus.foundation import errors, trace
from pileus.foundation.flow.model import (
    CANCELLED,
    DONE,
    FAILED,
    LOST,
    RUNNING,
    STUCK,
    UNDOING,
    Cancelled,
    DeadlineExceeded,
    Entry,
    Flow,
    FlowRecord,
    Journal,
    NewFlow,
    StaleEpoch,
    Step,
    StepContext,
    StepRecord,
    UndoFailed,
)  # fmt: skip
from pileus.foundation.runtime import Crashed, Runtime
from pileus.foundation.trace import Trace

log = logging.getLogger("pileus.flow")

UNDO_PATIENCE_S, PATIENT_PAUSE_S = 300.0, 15.0
"""How long, and how often, an undo is tried again while who is needed for it does not answer."""
CUT_OFF_PAUSE_S = 1.0
"""How often anything is tried again while nobody can be reached: for as long as that lasts."""


class Runner:
    """Runs the flows of one home on one process.

    `lease_s` is how long, by this process' own clock, a flow of somebody else must have been still before it is
    adopted. Nothing is adopted whose (name, version) this process does not know.
    """

    def __init__(
        self,
        journal: Journal,
        flows: Iterable[Flow],
        services: Any,
        runtime: Runtime,
        *,
        home: str = "",
        lease_s: float = 15.0,
    ):
        self._journal = journal
        self._flows = {(flow.name, flow.version): flow for flow in flows}
        self.services = services
        self._runtime = runtime
        self._home = home
        self._lease_s = lease_s
        self.owner = f"{runtime.name}/{runtime.hex_id()[:8]}"
        self._running: dict[str, tuple[FlowRecord, StepContext[Any]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, tuple[int, int, float]] = {}  # flow -> epoch, beat, since (own monotonic clock)

    # -- beginning ----------------------------------------------------------------------------------------
    async def start(self, new: NewFlow) -> None:
        """Begin a flow, or do nothing when it is known already (its message came twice)."""
        if new.id in self._running:
            return
        record = await self._journal.start(new, self.owner)
        if record.owner == self.owner and record.state in (RUNNING, UNDOING):
            self.run(record)

    def run(self, record: FlowRecord) -> None:
        """Go on with a flow that this process owns."""
        flow = self._flows.get((record.name, record.version))
        if flow is None or record.id in self._running:
            return
        context = StepContext(record, self.services, self._runtime)
        if record.is_cancelled:
            context.cancelled.set()
        self._running[record.id] = (record, context)
        work = self._guarded(flow, record, context)
        self._tasks[record.id] = self._runtime.spawn(work, f"flow {record.name} {record.subject}")

    def cancel(self, flow_id: str) -> None:
        """Wake a step of this process that waits: its flow is to be cancelled."""
        if flow_id in self._running:
            self._running[flow_id][1].cancelled.set()

    def is_running(self, flow_id: str) -> bool:
        return flow_id in self._running

    # -- adopting -----------------------------------------------------------------------------------------
    async def recover(self) -> int:
        """Adopt every open flow of this home at once. Only for a home that has no other runner."""
        adopted = 0
        for head in await self._journal.open_flows(self._home):
            adopted += await self._adopt(head)
        return adopted

    async def adopt_now(self, flow_id: str) -> None:
        """Adopt one open flow of this home that nobody here runs. Only for a home that has no other runner."""
        for head in await self._journal.open_flows(self._home):
            if head.id == flow_id:
                await self._adopt(head)

    async def adopt_abandoned(self) -> int:
        """One pass: adopt the flows that have not moved for a lease. Call it more often than once a lease."""
        now = self._runtime.monotonic()
        adopted, seen = 0, {}
        for head in await self._journal.open_flows(self._home):
            if head.id in self._running:
                continue
            known = self._seen.get(head.id)
            if known is None or known[:2] != (head.epoch, head.beat):
                seen[head.id] = (head.epoch, head.beat, now)
            elif now - known[2] < self._lease_s:
                seen[head.id] = known
            else:
                adopted += await self._adopt(head)
        self._seen = seen
        return adopted

    async def keep(self, *, adopts: bool = True) -> None:
        """Renew leases, hear what was decided of our flows elsewhere, and adopt what is abandoned, for ever."""
        while True:
            await self._runtime.sleep(self._lease_s / 3)
            try:
                await self.renew()
                if adopts:
                    await self.adopt_abandoned()
            except errors.Error as error:
                log.warning("leases of %s: %s", self.owner, error)

    async def renew(self) -> None:
        """Say of every flow here that somebody is at work; one that is to unwind is woken, a lost one left alone."""
        news = await self._journal.beat([(record.id, record.epoch) for record, _ in self._running.values()])
        for flow_id, what in news.items():
            if what == CANCELLED:
                self.cancel(flow_id)
            elif what == LOST and flow_id in self._tasks:
                log.warning("flow %s goes on elsewhere: it is left alone here", flow_id)
                self._tasks[flow_id].cancel()

    @property
    def under_way(self) -> list[str]:
        """The flows that run here now."""
        return list(self._running)

    async def _adopt(self, head: FlowRecord) -> int:
        if head.id in self._running or (head.name, head.version) not in self._flows:
            return 0
        record = await self._journal.claim(head.id, head.epoch, self.owner)
        if record is None:
            return 0
        log.info("adopted flow %s %s of %s at epoch %s", record.name, record.id, record.subject, record.epoch)
        self.run(record)
        return 1

    # -- running ------------------------------------------------------------------------------------------
    async def _guarded(self, flow: Flow, record: FlowRecord, context: StepContext[Any]) -> None:
        try:
            await self._run(flow, record, context)
        except StaleEpoch as stale:
            log.warning("%s", stale)
        except errors.Unavailable as error:  # the journal does not answer: the lease ends, somebody adopts
            log.warning("flow %s %s is left to be adopted: %s", record.name, record.id, error)
        finally:
            if self._running.get(record.id, (None,))[0] is record:
                del self._running[record.id], self._tasks[record.id]

    async def _run(self, flow: Flow, record: FlowRecord, context: StepContext[Any]) -> None:
        params = msgspec.convert(record.params, flow.params)
        failure = errors.from_wire(record.error) if record.state == UNDOING and record.error else None
        while True:
            work = _Attempt(flow, record, context, params, self._journal, self._runtime)
            if failure is None:
                failure = await work.forward()
            if failure is None:
                return
            if not await work.back(failure):
                return
            context.attempt = record.attempt
            failure = None


def _next_pause(failure: Exception, pauses: Iterator[float]) -> float | None:
    """Seconds until the next try; None when there is none left. Who was cut off has used up none."""
    return CUT_OFF_PAUSE_S if isinstance(failure, errors.CutOff) else next(pauses, None)


class _Attempt:
    """One attempt at a flow: forward through its steps, and back when one fails."""

    def __init__(
        self,
        flow: Flow,
        record: FlowRecord,
        context: StepContext[Any],
        params: Any,
        journal: Journal,
        runtime: Runtime,
    ):
        self._flow = flow
        self._record = record
        self._context = context
        self._params = params
        self._journal = journal
        self._runtime = runtime
        self._own = {step.position: step for step in record.steps if step.attempt == record.attempt}
        context.outputs = {step.name: step.output for step in self._own.values() if step.state == "done"}

    async def _write(self, state: str = "", error: errors.Error | None = None) -> None:
        record = self._record
        at = record.steps[-1].name if record.steps else ""
        self._runtime.reached("journal.before", record.name, at)
        wire = errors.to_wire(error) if error is not None else None
        if await self._journal.write(Entry(record.id, record.epoch, record.attempt, record.steps, state, wire)):
            self._context.cancelled.set()
        self._runtime.reached("journal.after", record.name, at)

    def _begin(self, position: int, step: Step) -> StepRecord:
        """The step's line in the journal; the one there is, when it began before."""
        line = self._own.get(position)
        if line is None:
            line = StepRecord(self._record.attempt, position, step.name, "began", started_at=self._runtime.now())
            self._own[position] = line
            self._record.steps.append(line)
        return line

    # -- forward ------------------------------------------------------------------------------------------
    async def forward(self) -> errors.Error | None:
        """Do every step not done yet. Returns None when all is done, else why it cannot go on.

        One write says that a step is done and that the next begins; that a flow is there says that its first began.
        """
        was_new, self._record.is_new = self._record.is_new, False
        may_have_begun = not was_new and not self._record.steps  # its first step, when nothing was written since
        for position, step in enumerate(self._flow.steps):
            self._context.is_repeat = position in self._own or (may_have_begun and position == 0)
            line = self._begin(position, step)
            if line.state == "done":
                continue
            if not was_new or position > 0:
                await self._write()
            if self._context.cancelled.is_set():
                return Cancelled(reason="it was asked to stop")
            self._context.trace = Trace()
            output = await self._try(step)
            line.events = trace.encode(self._context.trace.events)
            line.ended_at = self._runtime.now()
            if isinstance(output, errors.Error):
                if output.log:  # for the operator of this process: it goes no further
                    log.warning("flow %s of %s, step %s: %s (%s)", self._flow.name, self._record.subject, step.name,
                                output, output.log)  # fmt: skip
                line.state = "failed"
                return output
            line.state, line.output = "done", output
            self._context.outputs[step.name] = output
        await self._write(DONE)
        return None

    async def _try(self, step: Step) -> Any:
        """The step's output, or the error it failed with."""
        pauses = iter(step.retry_after_s)
        while True:
            try:
                self._runtime.reached("step.before", self._flow.name, step.name)
                async with self._runtime.timeout(step.timeout_s):
                    output = await step.do(self._context, self._params)
                self._runtime.reached("step.after", self._flow.name, step.name)
                return output
            except StaleEpoch:
                raise
            except errors.Unavailable as error:
                pause = _next_pause(error, pauses)
                if pause is None or self._context.cancelled.is_set():
                    return error
                log.info("flow %s step %s: %s; again in %s s", self._flow.name, step.name, error, pause)
                await self._runtime.sleep(pause)
                self._context.is_repeat = True
            except errors.Error as error:
                return error
            except TimeoutError:
                return DeadlineExceeded(step=step.name, seconds=step.timeout_s)
            except Exception as failure:
                log.exception("flow %s step %s failed", self._flow.name, step.name)
                return errors.from_wire(errors.to_wire(failure))

    # -- back ---------------------------------------------------------------------------------------------
    async def back(self, failure: errors.Error) -> bool:
        """Undo every step that began, the last first. Returns whether a further attempt is to follow."""
        await self._write(UNDOING, failure)
        # After a power cut the journal may lack its newest lines: then every step may have begun.
        rebooted = self._record.boot_id != self._runtime.boot_id
        for position in reversed(range(len(self._flow.steps))):
            step = self._flow.steps[position]
            if step.undo is None or not (rebooted or position in self._own):
                continue
            line = self._begin(position, step)
            if line.state == "undone":
                continue
            if not await self._undo(step, failure):
                return False
            line.state = "undone"
            await self._write()
        if not self._context.cancelled.is_set() and self._flow.again(failure, self._record.attempt):
            self._record.attempt += 1
            await self._write(RUNNING)
            return True
        await self._write(FAILED if await self._reported(failure) else STUCK, failure)
        return False

    async def _reported(self, failure: errors.Error) -> bool:
        """Tell the flow that it failed; False when that fails too, again and again, and an operator must see it."""
        for pause in (*self._flow.undo_retry_after_s, None):
            try:
                await self._flow.on_failure(self._context, self._params, failure)
                return True
            except (Crashed, StaleEpoch, asyncio.CancelledError, errors.Unavailable):
                raise
            except Exception:
                log.exception("flow %s: its failure cannot be reported", self._flow.name)
                if pause is None:
                    return False
            await self._runtime.sleep(pause)
        return False

    async def _undo(self, step: Step, why: errors.Error) -> bool:
        """Take a step back; after the last try the flow is parked as stuck, for an operator to see.

        Who does not answer may only be starting again: he is asked for longer.
        """
        assert step.undo is not None
        pauses, patient_until = iter(self._flow.undo_retry_after_s), self._runtime.monotonic() + UNDO_PATIENCE_S
        while True:
            try:
                self._runtime.reached("undo.before", self._flow.name, step.name)
                async with self._runtime.timeout(step.timeout_s):
                    await step.undo(self._context, self._params)
                self._runtime.reached("undo.after", self._flow.name, step.name)
                return True
            except (Crashed, StaleEpoch, asyncio.CancelledError):
                raise
            except Exception as failure:
                log.warning("flow %s: undo of %s failed: %r", self._flow.name, step.name, failure)
                pause = _next_pause(failure, pauses)
                if pause is None and isinstance(failure, errors.Unavailable):
                    pause = PATIENT_PAUSE_S if self._runtime.monotonic() < patient_until else None
                if pause is None:
                    error = UndoFailed(why=why.facts.get("why", why.text), step=step.name, reason=str(failure))
                    await self._reported(error)
                    await self._write(STUCK, error)
                    return False
            await self._runtime.sleep(pause)
