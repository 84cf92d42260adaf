"""The states of a server: one table of rules, and the only functions that change a state.

Every row of the published API's "accepted when" table stands in `RULES`, also those whose command comes later. This
module refuses what a rule does not admit and never does the action itself. `docs/life-of-a-server.md` is drawn from it.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pileus.compute.domain.errors import Locked, NotLaunched, NotReady, ServerBusy, Superseded, WrongState

if TYPE_CHECKING:
    from pileus.compute.domain.server import Fault, Server


class VmState(StrEnum):
    """The stable state of a server."""

    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(StrEnum):
    """What is in flight; None (null on the wire) stands for nothing. The mix of `-` and `_` is the API's own."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_PENDING_UPLOAD = "image_pending_upload"
    IMAGE_UPLOADING = "image_uploading"
    IMAGE_BACKUP = "image_backup"
    UPDATING_PASSWORD = "updating_password"  # noqa: S105 - a state
    REBOOTING = "rebooting"
    REBOOT_PENDING = "reboot_pending"
    REBOOT_STARTED = "reboot_started"
    REBOOTING_HARD = "rebooting_hard"
    REBOOT_PENDING_HARD = "reboot_pending_hard"
    REBOOT_STARTED_HARD = "reboot_started_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    RESIZE_CONFIRMING = "resize_confirming"  # reserved: never stored
    MIGRATING = "migrating"
    SHELVING = "shelving"
    SHELVING_IMAGE_PENDING_UPLOAD = "shelving_image_pending_upload"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    DELETING = "deleting"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"


class PowerState(IntEnum):
    """The hypervisor's last answer; 2 and 5 are unused."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


class Action(StrEnum):
    """Everything that can be asked of a server; the value is the word of the API's refusals."""

    LAUNCH = "create"
    START = "start"
    STOP = "stop"
    REBOOT_SOFT = "reboot"
    REBOOT_HARD = "reboot hard"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    REBUILD = "rebuild"
    RESIZE = "resize"
    MIGRATE = "migrate"
    CONFIRM_RESIZE = "confirmResize"
    REVERT_RESIZE = "revertResize"
    LIVE_MIGRATE = "os-migrateLive"
    FORCE_COMPLETE_MIGRATION = "force_complete"
    ABORT_MIGRATION = "abort live migration"
    EVACUATE = "evacuate"
    CREATE_IMAGE = "createImage"
    CREATE_BACKUP = "createBackup"
    SHELVE = "shelve"
    SHELVE_OFFLOAD = "shelveOffload"
    UNSHELVE = "unshelve"
    CHANGE_PASSWORD = "changePassword"  # noqa: S105 - a word
    TRIGGER_CRASH_DUMP = "trigger_crash_dump"
    DELETE = "delete"
    FORCE_DELETE = "forceDelete"
    SOFT_DELETE = "soft delete"
    RESTORE = "restore"
    ATTACH_VOLUME = "attach_volume"
    DETACH_VOLUME = "detach_volume"
    SWAP_VOLUME = "swap_volume"
    ATTACH_INTERFACE = "attach_interface"
    DETACH_INTERFACE = "detach_interface"
    SET_METADATA = "update metadata"
    DELETE_METADATA = "delete metadata"
    GET_CONSOLE = "get_vnc_console"
    GET_CONSOLE_OUTPUT = "get_console_output"
    LOCK = "lock"
    UNLOCK = "unlock"
    RESET_STATE = "os-resetState"
    UPDATE = "update"
    SET_TAGS = "update tag"


WORDS = {Action.REBOOT_HARD: "reboot", Action.SOFT_DELETE: "delete"}
"""Two actions of ours that are one word to callers."""

_V, _T, _P, _A = VmState, TaskState, PowerState, Action

ANY: frozenset[VmState] = frozenset(VmState)
ANY_TASK: frozenset[TaskState | None] = frozenset(TaskState) | {None}
IDLE: frozenset[TaskState | None] = frozenset({None})
REBOOTABLE: frozenset[TaskState | None] = frozenset(
    {
        None, _T.REBOOTING, _T.REBOOT_PENDING, _T.REBOOT_STARTED, _T.REBOOTING_HARD, _T.RESUMING, _T.UNPAUSING,
        _T.PAUSING, _T.SUSPENDING,
    }
)  # fmt: skip

SNAPSHOTABLE = frozenset({_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED})
DELETABLE = ANY
HOLDS_RESOURCES = ANY - {_V.DELETED, _V.SHELVED_OFFLOADED}
"""vm_states in which a server with a host keeps its allocation and its guest's place there."""
SHOULD_RUN = frozenset({_V.ACTIVE, _V.PAUSED, _V.RESCUED})
"""vm_states in which a guest belongs to the host's list of living guests."""
COUNTS_FOR_QUOTA = ANY - {_V.DELETED, _V.SOFT_DELETED}


@dataclass(frozen=True, slots=True)
class Rule:
    """When an action may begin, what shows meanwhile, where it ends."""

    vm_states: AbstractSet[VmState]
    task_states: AbstractSet[TaskState | None]  # what may be in flight when it begins
    shows: Sequence[TaskState | None] = ()  # in this order while it runs
    ends_in: VmState | None = None  # None: where it began
    power: PowerState | None = None  # the power state at the end, where the hypervisor says nothing else
    may_end_in: AbstractSet[VmState] = frozenset()  # other ends, chosen by `finish(ends_in=...)`
    breaks: bool = False  # a failure leaves the server in ERROR, not where it began
    stays_stopped: bool = False  # what was stopped before is stopped again at the end
    lock: bool = True  # refused on a locked server
    host: bool = False  # needs a host
    launched: bool = True  # needs to have been active once
    deadline_s: int = 600  # longer in flight means that something is wrong

    @property
    def is_guard(self) -> bool:
        """Whether the action only asks permission and leaves the state alone."""
        return not self.shows and self.ends_in is None


_LAUNCH_ORDER = (_T.SCHEDULING, None, _T.NETWORKING, _T.BLOCK_DEVICE_MAPPING, _T.SPAWNING)
_REBUILD_ORDER = (_T.REBUILDING, _T.REBUILD_BLOCK_DEVICE_MAPPING, _T.REBUILD_SPAWNING)
_RESIZE_ORDER = (_T.RESIZE_PREP, _T.RESIZE_MIGRATING, _T.RESIZE_MIGRATED, _T.RESIZE_FINISH)
_SHELVE_ORDER = (
    _T.SHELVING, _T.SHELVING_IMAGE_PENDING_UPLOAD, _T.SHELVING_IMAGE_UPLOADING, _T.SHELVING_OFFLOADING,
)  # fmt: skip
_UPLOAD_ORDER = (_T.IMAGE_PENDING_UPLOAD, _T.IMAGE_UPLOADING)
_VOLUME_STATES = {
    _V.ACTIVE, _V.PAUSED, _V.STOPPED, _V.RESIZED, _V.SOFT_DELETED, _V.SHELVED, _V.SHELVED_OFFLOADED,
}  # fmt: skip
_INTERFACE_STATES = {_V.ACTIVE, _V.PAUSED, _V.STOPPED}
_METADATA_STATES = {_V.ACTIVE, _V.PAUSED, _V.SUSPENDED, _V.STOPPED}
_NOT_LEAVING = ANY_TASK - {_T.DELETING, _T.MIGRATING}

# fmt: off
RULES: dict[Action, Rule] = {
    _A.LAUNCH: Rule({_V.BUILDING}, {_T.SCHEDULING}, _LAUNCH_ORDER, _V.ACTIVE, _P.RUNNING, breaks=True, lock=False,
                    launched=False, deadline_s=3600),
    _A.START: Rule({_V.STOPPED}, IDLE, (_T.POWERING_ON,), _V.ACTIVE, _P.RUNNING, host=True),
    _A.STOP: Rule({_V.ACTIVE, _V.ERROR}, IDLE, (_T.POWERING_OFF,), _V.STOPPED, _P.SHUTDOWN, host=True),
    _A.REBOOT_SOFT: Rule({_V.ACTIVE}, IDLE, (_T.REBOOTING, _T.REBOOT_PENDING, _T.REBOOT_STARTED), _V.ACTIVE,
                         _P.RUNNING),
    _A.REBOOT_HARD: Rule({_V.ACTIVE, _V.STOPPED, _V.PAUSED, _V.SUSPENDED, _V.ERROR}, REBOOTABLE,
                         (_T.REBOOTING_HARD, _T.REBOOT_PENDING_HARD, _T.REBOOT_STARTED_HARD), _V.ACTIVE, _P.RUNNING,
                         breaks=True),
    _A.PAUSE: Rule({_V.ACTIVE}, IDLE, (_T.PAUSING,), _V.PAUSED, _P.PAUSED),
    _A.UNPAUSE: Rule({_V.PAUSED}, IDLE, (_T.UNPAUSING,), _V.ACTIVE, _P.RUNNING),
    _A.SUSPEND: Rule({_V.ACTIVE}, IDLE, (_T.SUSPENDING,), _V.SUSPENDED, _P.SHUTDOWN),
    _A.RESUME: Rule({_V.SUSPENDED}, IDLE, (_T.RESUMING,), _V.ACTIVE, _P.RUNNING),
    _A.RESCUE: Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, IDLE, (_T.RESCUING,), _V.RESCUED, _P.RUNNING, breaks=True),
    _A.UNRESCUE: Rule({_V.RESCUED}, IDLE, (_T.UNRESCUING,), _V.ACTIVE, _P.RUNNING, breaks=True),
    _A.REBUILD: Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, IDLE, _REBUILD_ORDER, _V.ACTIVE, _P.RUNNING, breaks=True,
                     stays_stopped=True, deadline_s=3600),
    _A.RESIZE: Rule({_V.ACTIVE, _V.STOPPED}, IDLE, _RESIZE_ORDER, _V.RESIZED, deadline_s=7200),
    _A.MIGRATE: Rule({_V.ACTIVE, _V.STOPPED}, IDLE, _RESIZE_ORDER, _V.RESIZED, deadline_s=7200),
    _A.CONFIRM_RESIZE: Rule({_V.RESIZED}, IDLE, (), _V.ACTIVE, may_end_in={_V.STOPPED}, breaks=True),
    _A.REVERT_RESIZE: Rule({_V.RESIZED}, IDLE, (_T.RESIZE_REVERTING,), _V.ACTIVE, _P.RUNNING, breaks=True,
                           stays_stopped=True, deadline_s=3600),
    _A.LIVE_MIGRATE: Rule({_V.ACTIVE, _V.PAUSED}, IDLE, (_T.MIGRATING,), deadline_s=7200),
    _A.FORCE_COMPLETE_MIGRATION: Rule({_V.ACTIVE}, {_T.MIGRATING}),
    _A.ABORT_MIGRATION: Rule(ANY, {_T.MIGRATING}),
    _A.EVACUATE: Rule({_V.ACTIVE, _V.STOPPED, _V.ERROR}, ANY_TASK, _REBUILD_ORDER, _V.ACTIVE, _P.RUNNING,
                      may_end_in={_V.STOPPED}, breaks=True, lock=False, deadline_s=3600),
    _A.CREATE_IMAGE: Rule(SNAPSHOTABLE, IDLE, (_T.IMAGE_SNAPSHOT_PENDING, _T.IMAGE_SNAPSHOT, *_UPLOAD_ORDER),
                          lock=False, deadline_s=7200),
    _A.CREATE_BACKUP: Rule(SNAPSHOTABLE, IDLE, (_T.IMAGE_BACKUP, *_UPLOAD_ORDER), lock=False, deadline_s=7200),
    _A.SHELVE: Rule(SNAPSHOTABLE, IDLE, _SHELVE_ORDER, _V.SHELVED, _P.SHUTDOWN, may_end_in={_V.SHELVED_OFFLOADED},
                    deadline_s=7200),
    _A.SHELVE_OFFLOAD: Rule({_V.SHELVED}, IDLE, (_T.SHELVING_OFFLOADING,), _V.SHELVED_OFFLOADED, _P.SHUTDOWN),
    _A.UNSHELVE: Rule({_V.SHELVED, _V.SHELVED_OFFLOADED}, IDLE, (_T.UNSHELVING, _T.POWERING_ON, _T.SPAWNING),
                      _V.ACTIVE, _P.RUNNING, deadline_s=3600),
    _A.CHANGE_PASSWORD: Rule({_V.ACTIVE}, IDLE, (_T.UPDATING_PASSWORD,)),
    _A.TRIGGER_CRASH_DUMP: Rule({_V.ACTIVE, _V.PAUSED, _V.RESCUED, _V.RESIZED, _V.ERROR}, IDLE, host=True),
    _A.DELETE: Rule(ANY, ANY_TASK, (_T.DELETING,), _V.DELETED, _P.NOSTATE, breaks=True, launched=False),
    _A.FORCE_DELETE: Rule(ANY, ANY_TASK, (_T.DELETING,), _V.DELETED, _P.NOSTATE, breaks=True, launched=False),
    _A.SOFT_DELETE: Rule(ANY, ANY_TASK, (_T.SOFT_DELETING,), _V.SOFT_DELETED, _P.SHUTDOWN),
    _A.RESTORE: Rule({_V.SOFT_DELETED}, IDLE, (_T.RESTORING,), _V.ACTIVE, _P.RUNNING),
    _A.ATTACH_VOLUME: Rule(_VOLUME_STATES, IDLE),
    _A.DETACH_VOLUME: Rule(_VOLUME_STATES, IDLE),
    _A.SWAP_VOLUME: Rule({_V.ACTIVE, _V.PAUSED, _V.RESIZED}, IDLE),
    _A.ATTACH_INTERFACE: Rule(_INTERFACE_STATES, IDLE),
    _A.DETACH_INTERFACE: Rule(_INTERFACE_STATES, IDLE),
    _A.SET_METADATA: Rule(_METADATA_STATES, ANY_TASK),
    _A.DELETE_METADATA: Rule(_METADATA_STATES, ANY_TASK),
    _A.GET_CONSOLE: Rule(ANY, _NOT_LEAVING, lock=False, host=True),
    _A.GET_CONSOLE_OUTPUT: Rule(ANY, ANY_TASK, lock=False, host=True, launched=False),
    _A.LOCK: Rule(ANY, ANY_TASK, lock=False, launched=False),
    _A.UNLOCK: Rule(ANY, ANY_TASK, lock=False, launched=False),
    _A.RESET_STATE: Rule(ANY, ANY_TASK, (), _V.ERROR, may_end_in={_V.ACTIVE}, lock=False, launched=False),
    _A.UPDATE: Rule(ANY, ANY_TASK, lock=False, launched=False),
    _A.SET_TAGS: Rule(ANY, ANY_TASK, lock=False, launched=False),
}
# fmt: on

REMOVES = frozenset({_A.DELETE, _A.FORCE_DELETE})
_REMEMBERS_START = frozenset({_A.RESIZE, _A.MIGRATE})


def word(action: Action) -> str:
    """The word by which refusals name `action`."""
    return WORDS.get(action, action.value)


def check(server: "Server", action: Action, *, may_override_lock: bool = False) -> Rule:
    """Return the rule of `action` when `server` admits it now; change nothing.

    Raises: Locked, NotReady, WrongState, ServerBusy, NotLaunched (all 409), asked in this order.
    """
    rule = RULES[action]
    if rule.lock and server.locked_by and not may_override_lock:
        raise Locked(server_id=server.id)
    if server.vm_state is _V.DELETED:
        raise _refusal(WrongState, server, action, "vm_state", server.vm_state)
    if rule.host and server.host is None:
        raise NotReady(server_id=server.id)
    if server.vm_state not in rule.vm_states:
        raise _refusal(WrongState, server, action, "vm_state", server.vm_state)
    if server.task_state not in rule.task_states:
        raise _refusal(ServerBusy, server, action, "task_state", server.task_state)
    if server.action is not None and rule.task_states == IDLE:
        raise _refusal(ServerBusy, server, action, "task_state", word(server.action))
    if rule.launched and server.launched_at is None:
        raise _refusal(NotLaunched, server, action, "launched_at", None)
    return rule


def begin(server: "Server", action: Action, now: int, *, may_override_lock: bool = False) -> "Server":
    """Return the server as it is while `action` runs; one that only asks permission returns it unchanged.

    A delete during a delete changes nothing either; any other delete takes over from what was running.

    Raises: Locked, NotReady, WrongState, ServerBusy, NotLaunched (409).
    """
    rule = check(server, action, may_override_lock=may_override_lock)
    if rule.is_guard or (action in REMOVES and server.action in REMOVES):
        return server
    return replace(
        server,
        action=action,
        action_at=now,
        began_in=server.vm_state,
        resized_in=server.vm_state if action in _REMEMBERS_START else server.resized_in,
        task_state=rule.shows[0] if rule.shows else None,
        updated_at=now,
    )


def begin_correction(server: "Server", now: int) -> "Server":
    """Return the server as it is while its guest, which went its own way, is being stopped; it is at rest before.

    Nobody asked for it, so no lock and no vm_state refuses it.
    """
    return replace(
        server,
        action=_A.STOP,
        action_at=now,
        began_in=server.vm_state,
        task_state=RULES[_A.STOP].shows[0],
        updated_at=now,
    )


def advance(server: "Server", task_state: TaskState | None, now: int) -> "Server":
    """Return the server one task state further in the action that runs; staying is fine, steps may be left out.

    Going back is possible only to the first: a new attempt.

    Raises: ServerBusy (409) for a task state of another action.
    """
    running = server.action
    shows = RULES[running].shows if running is not None else ()
    if running is None or task_state not in shows or server.task_state not in shows:
        raise ServerBusy(action=task_state, server_id=server.id, attr="task_state", state=server.task_state)
    if task_state == server.task_state:
        return server
    if shows.index(task_state) < shows.index(server.task_state) and task_state != shows[0]:
        raise ServerBusy(action=task_state, server_id=server.id, attr="task_state", state=server.task_state)
    return replace(server, task_state=task_state, updated_at=now)


def finish(
    server: "Server",
    action: Action,
    now: int,
    *,
    power_state: PowerState | None = None,
    ends_in: VmState | None = None,
) -> "Server":
    """Return the server after `action` succeeded.

    `ends_in` chooses among the ends that the rule allows; without it a resize is confirmed into what the power state
    says. A server that was stopped before a rebuild or a reverted resize goes on with STOP: `server.action` tells.

    Raises: Superseded (409) when another action runs.
    """
    rule = RULES[action]
    if rule.is_guard:
        return server
    _require_running(server, action)
    end = _end_of(server, action, rule, power_state, ends_in)
    if rule.stays_stopped and (server.resized_in if action is _A.REVERT_RESIZE else server.began_in) is _V.STOPPED:
        return replace(
            server,
            vm_state=end,
            task_state=_T.POWERING_OFF,
            power_state=_power(server, rule, end, power_state),
            action=_A.STOP,
            action_at=now,
            began_in=end,
            resized_in=None,
            fault=None,
            updated_at=now,
        )
    gone = end is _V.DELETED
    return replace(
        server,
        vm_state=end,
        task_state=None,
        power_state=_power(server, rule, end, power_state),
        action=None,
        action_at=None,
        began_in=None,
        resized_in=server.resized_in if end is _V.RESIZED else None,
        fault=server.fault if end in (_V.ERROR, _V.DELETED) else None,
        progress=0,
        launched_at=now if action is _A.LAUNCH else server.launched_at,
        terminated_at=now if gone else server.terminated_at,
        deleted_at=now if gone else server.deleted_at,
        updated_at=now,
    )


def fail(
    server: "Server",
    action: Action,
    fault: "Fault",
    now: int,
    *,
    power_state: PowerState | None = None,
    broken: bool | None = None,
) -> "Server":
    """Return the server after `action` failed: in ERROR where the rule says that it breaks, else where it began.

    `broken` overrides the rule when the driver knows better. Raises: Superseded (409) when another action runs.
    """
    rule = RULES[action]
    if rule.is_guard:
        return replace(server, fault=fault, updated_at=now)
    _require_running(server, action)
    lost = rule.breaks if broken is None else broken
    end = _V.ERROR if lost or server.began_in is None else server.began_in
    return replace(
        server,
        vm_state=end,
        task_state=None,
        power_state=server.power_state if power_state is None else power_state,
        action=None,
        action_at=None,
        began_in=None,
        resized_in=server.resized_in if end is _V.RESIZED else None,
        fault=fault,
        updated_at=now,
    )


def is_overdue(server: "Server", now: int) -> bool:
    """Whether the running action is in flight for longer than its rule's deadline."""
    if server.action is None or server.action_at is None:
        return False
    return now - server.action_at > RULES[server.action].deadline_s * 1_000_000


def _require_running(server: "Server", action: Action) -> None:
    if server.action is not action:
        current = server.action.value if server.action is not None else "none"
        raise Superseded(action=action.value, server_id=server.id, current=current)


def _end_of(
    server: "Server", action: Action, rule: Rule, power_state: PowerState | None, ends_in: VmState | None
) -> VmState:
    """Where a successful `action` ends; asking for an end that the rule does not know is a mistake of the program."""
    usual = server.vm_state if rule.ends_in is None else rule.ends_in
    if ends_in is not None and ends_in is not usual:
        if ends_in not in rule.may_end_in:
            raise ValueError(f"{action.value} never ends in {ends_in.value}")
        return ends_in
    if action is _A.CONFIRM_RESIZE and ends_in is None:
        off = (server.power_state if power_state is None else power_state) in (_P.SHUTDOWN, _P.CRASHED)
        return _V.STOPPED if off else usual
    return usual


def _power(server: "Server", rule: Rule, end: VmState, power_state: PowerState | None) -> PowerState:
    if power_state is not None:
        return power_state
    if end is _V.STOPPED:
        return _P.SHUTDOWN
    return server.power_state if rule.power is None else rule.power


def _refusal(
    kind: type[WrongState] | type[ServerBusy] | type[NotLaunched],
    server: "Server",
    action: Action,
    attr: str,
    state: str | None,
) -> WrongState | ServerBusy | NotLaunched:
    shown = state.value if isinstance(state, StrEnum) else state
    return kind(action=word(action), server_id=server.id, attr=attr, state=shown)
