"""What a flow is, and what its journal says of it. Values only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pileus.foundation.errors import Conflict, Error
from pileus.foundation.runtime import Runtime
from pileus.foundation.trace import Trace

S = TypeVar("S")

RUNNING, UNDOING, DONE, FAILED, STUCK = "running", "undoing", "done", "failed", "stuck"
OPEN = (RUNNING, UNDOING)  # somebody must be at work on it
ENDED = (DONE, FAILED)
CANCELLED, LOST = "cancelled", "lost"


class StaleEpoch(Conflict):
    """Somebody else has adopted this flow: stop at once, undo nothing."""

    code, message = "flow.stale-epoch", "Flow {flow_id} goes on elsewhere; epoch {epoch} is over."


class Cancelled(Conflict):
    code, message = "flow.cancelled", "The work was cancelled because {reason}."


class DeadlineExceeded(Error):
    status, code = 504, "flow.deadline"
    message = "Step {step} did not finish within {seconds} s."


class UndoFailed(Error):
    code = "flow.undo-failed"
    message = (
        "What was begun could not be taken back at step {step} ({reason}); see 'pileus flows'. What had failed: {why}"
    )


class Closed(Error):
    """Somebody else has ended it, and nothing that it began was taken back."""

    code, message = "flow.closed", "It was ended without {home}, which does not answer.{why}"


class NewFlow(msgspec.Struct, omit_defaults=True):
    """A flow that is to begin. Inserting the same id twice makes one flow."""

    id: str
    name: str
    version: int
    subject: str  # the id of what it is about: a server, a volume
    params: dict[str, Any]
    home: str = ""  # the host that alone may run it; "" for any conductor
    request_id: str = ""
    secret: bytes | None = None  # sealed; erased when the flow ends
    deadline_s: float = 3600.0
    events: list[Any] = []  # what had happened before the flow began, for the trace


class StepRecord(msgspec.Struct, omit_defaults=True):
    attempt: int
    position: int
    name: str
    state: str  # began, done, failed, undone
    output: Any = None
    events: bytes = b""
    started_at: int = 0
    ended_at: int = 0


class FlowRecord(msgspec.Struct, omit_defaults=True):
    """A flow as its journal has it."""

    id: str
    name: str
    version: int
    subject: str
    params: dict[str, Any]
    state: str
    home: str
    epoch: int
    attempt: int
    owner: str = ""
    beat: int = 0
    is_cancelled: bool = False
    error: dict[str, Any] | None = None
    request_id: str = ""
    secret: bytes | None = None
    boot_id: str = ""
    deadline_s: float = 3600.0
    created_at: int = 0
    updated_at: int = 0
    events: bytes = b""
    steps: list[StepRecord] = []
    is_new: bool = False  # just begun, by whom this record was given to: nothing can have run before


class Entry(msgspec.Struct, omit_defaults=True):
    """One journal write: what the flow's runner, alone entitled by its epoch, says the flow is now."""

    flow_id: str
    epoch: int
    attempt: int
    steps: list[StepRecord]  # of all attempts
    state: str = ""  # "" leaves it
    error: dict[str, Any] | None = None


class Ended(msgspec.Struct, omit_defaults=True):
    """How a flow ended."""

    flow_id: str
    state: str
    error: dict[str, Any] | None = None


class StepContext(Generic[S]):
    """What a step sees: the wing's own objects, the outputs so far, the trace. Nothing else."""

    __slots__ = ("attempt", "cancelled", "flow", "is_repeat", "memory", "outputs", "runtime", "services", "trace")

    def __init__(self, flow: FlowRecord, services: S, runtime: Runtime):
        self.flow = flow
        self.services = services
        self.runtime = runtime
        self.attempt = flow.attempt
        self.outputs: dict[str, Any] = {}
        self.memory: dict[str, Any] = {}  # for this process alone: gone with it, never journalled
        self.trace = Trace()
        self.cancelled = asyncio.Event()
        self.is_repeat = False  # whether this step may have run before: after a crash, or a retry

    @property
    def subject(self) -> str:
        return self.flow.subject

    @property
    def request_id(self) -> str:
        return self.flow.request_id


Do = Callable[[StepContext[Any], Any], Awaitable[Any]]
OnFailure = Callable[[StepContext[Any], Any, Error], Awaitable[None]]


@dataclass(frozen=True)
class Step:
    """One repeatable piece of work and what takes it back; `undo` accepts that there is nothing to take back."""

    name: str
    do: Do
    undo: Do | None = None
    timeout_s: float = 600.0
    retry_after_s: tuple[float, ...] = (0.1, 0.5, 2.0)  # pauses before each new try after `Unavailable`


@dataclass(frozen=True)
class Flow:
    """Long work, read as a table of steps.

    `again(error, attempt)` tells whether, after everything was undone, another attempt begins (they count from 1).
    `on_failure` is told the error after the last undo; it may be called twice.
    """

    name: str
    version: int
    params: type[Any]  # a msgspec.Struct
    steps: tuple[Step, ...]
    on_failure: OnFailure
    again: Callable[[Error, int], bool] = field(default=lambda error, attempt: False)
    undo_retry_after_s: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0)


class Journal(Protocol):
    """Where a runner writes what it is about to do and what it has done."""

    async def start(self, new: NewFlow, owner: str) -> FlowRecord:
        """Begin a flow, or return the one that has this id already."""
        ...

    async def claim(self, flow_id: str, epoch: int, owner: str) -> FlowRecord | None:
        """Take over a flow that is at `epoch`; None when it ended or somebody else was faster."""
        ...

    async def write(self, entry: Entry) -> bool:
        """Make `entry` true; returns whether the flow is to be cancelled. Raises: StaleEpoch."""
        ...

    async def beat(self, flows: Sequence[tuple[str, int]]) -> dict[str, str]:
        """Say of these (id, epoch) that somebody is still at work.

        Returns what their runner may not know yet, by id: CANCELLED when the flow is to unwind, LOST when somebody else
        has it.
        """
        ...

    async def open_flows(self, home: str) -> list[FlowRecord]:
        """The flows of `home` that have not ended."""
        ...
