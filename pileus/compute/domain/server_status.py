"""What callers see of a server's state: the status, derived from (vm_state, task_state), and the filter by status."""

from collections.abc import Iterable
from dataclasses import dataclass

from pileus.compute.domain.server_states import TaskState, VmState

_V, _T = VmState, TaskState

REBOOTS = frozenset({_T.REBOOTING, _T.REBOOT_PENDING, _T.REBOOT_STARTED})
HARD_REBOOTS = frozenset({_T.REBOOTING_HARD, _T.REBOOT_PENDING_HARD, _T.REBOOT_STARTED_HARD})
REBUILDS = frozenset({_T.REBUILDING, _T.REBUILD_BLOCK_DEVICE_MAPPING, _T.REBUILD_SPAWNING})
RESIZES = frozenset({_T.RESIZE_PREP, _T.RESIZE_MIGRATING, _T.RESIZE_MIGRATED, _T.RESIZE_FINISH})

DEFAULT_STATUS: dict[VmState, str] = {
    _V.BUILDING: "BUILD",
    _V.ACTIVE: "ACTIVE",
    _V.STOPPED: "SHUTOFF",
    _V.RESIZED: "VERIFY_RESIZE",
    _V.PAUSED: "PAUSED",
    _V.SUSPENDED: "SUSPENDED",
    _V.RESCUED: "RESCUE",
    _V.ERROR: "ERROR",
    _V.SOFT_DELETED: "SOFT_DELETED",
    _V.DELETED: "DELETED",
    _V.SHELVED: "SHELVED",
    _V.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
}

OVERRIDES: dict[VmState, tuple[tuple[frozenset[TaskState], str], ...]] = {
    _V.ACTIVE: (
        (REBOOTS, "REBOOT"),
        (HARD_REBOOTS, "HARD_REBOOT"),
        (frozenset({_T.UPDATING_PASSWORD}), "PASSWORD"),
        (REBUILDS, "REBUILD"),
        (frozenset({_T.MIGRATING}), "MIGRATING"),
        (RESIZES, "RESIZE"),
    ),
    _V.STOPPED: ((RESIZES, "RESIZE"), (REBUILDS, "REBUILD")),
    _V.RESIZED: ((frozenset({_T.RESIZE_REVERTING}), "REVERT_RESIZE"),),
    _V.PAUSED: ((frozenset({_T.MIGRATING}), "MIGRATING"),),
    _V.ERROR: ((REBUILDS, "REBUILD"),),
}

UNKNOWN = "UNKNOWN"
SHOW_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
SHOW_FAULT = frozenset({"ERROR", "DELETED"})

_STATUS: dict[tuple[VmState, TaskState | None], str] = {
    (vm_state, task_state): next(
        (name for tasks, name in OVERRIDES.get(vm_state, ()) if task_state in tasks), DEFAULT_STATUS[vm_state]
    )
    for vm_state in VmState
    for task_state in (*TaskState, None)
}
STATUSES = frozenset(_STATUS.values())


def status_of(vm_state: VmState, task_state: TaskState | None) -> str:
    """The status that the API shows."""
    return _STATUS.get((vm_state, task_state), UNKNOWN)


@dataclass(frozen=True, slots=True)
class StatusFilter:
    """The states that show as one status: any of `vm_states` with a task state in `only` and not in `excluded`.

    `only` None admits every task state, "nothing in flight" included.
    """

    status: str
    vm_states: frozenset[VmState]
    only: frozenset[TaskState] | None = None
    excluded: frozenset[TaskState] = frozenset()

    @property
    def task_states(self) -> frozenset[TaskState | None] | None:
        """All task states that it admits, None among them for "nothing in flight"; None as a whole: any."""
        if self.only is not None:
            return frozenset(self.only)
        return (frozenset(TaskState) | {None}) - self.excluded if self.excluded else None

    def admits(self, vm_state: VmState, task_state: TaskState | None) -> bool:
        """Whether a server in these states shows this status."""
        if vm_state not in self.vm_states or task_state in self.excluded:
            return False
        return self.only is None or task_state in self.only


def _by_default(vm_state: VmState, status: str) -> StatusFilter:
    excluded = frozenset(task for tasks, _ in OVERRIDES.get(vm_state, ()) for task in tasks)
    return StatusFilter(status, frozenset({vm_state}), None, excluded)


def _by_task(status: str) -> StatusFilter:
    found = [(vm, tasks) for vm, overrides in OVERRIDES.items() for tasks, name in overrides if name == status]
    return StatusFilter(status, frozenset(vm for vm, _ in found), found[0][1])


STATUS_FILTERS: dict[str, StatusFilter] = {name: _by_default(vm, name) for vm, name in DEFAULT_STATUS.items()} | {
    name: _by_task(name) for overrides in OVERRIDES.values() for _, name in overrides
}


def status_filters(names: Iterable[str]) -> tuple[tuple[StatusFilter, ...], tuple[str, ...]]:
    """The filters of the statuses `names` (in any case, several are alternatives), and the names that are unknown."""
    wanted = [name.upper() for name in names]
    known = tuple(STATUS_FILTERS[name] for name in dict.fromkeys(wanted) if name in STATUS_FILTERS)
    return known, tuple(name for name in wanted if name not in STATUS_FILTERS)
