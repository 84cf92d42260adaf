"""What begins, advances, ends and fails, and what is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pileus.compute.domain.errors import Locked, NotLaunched, NotReady, ServerBusy, Superseded, WrongState
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.server import Fault, Server, ServerId, changed
from pileus.compute.domain.server_states import (
    ANY_TASK,
    IDLE,
    RULES,
    Action,
    PowerState,
    TaskState,
    VmState,
    advance,
    begin,
    check,
    fail,
    finish,
    is_overdue,
)
from pileus.foundation.errors import Conflict, Error

NOW = 1_700_000_000_000_000
ID = "11111111-1111-4111-8111-111111111111"
FAULT = Fault("The image could not be read.", NOW)
Make = Callable[..., Server]


def newborn() -> Server:
    flavor = Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=512, disk_gib=1)
    return Server(id=ServerId(ID), name="web", project_id="p", user_id="u", flavor=flavor, action_at=NOW)


# -- refusals ---------------------------------------------------
@pytest.mark.parametrize(
    ("action", "facts", "error", "text"),
    [
        (Action.STOP, {"task_state": TaskState.POWERING_OFF, "action": Action.STOP}, ServerBusy,
         f"Cannot 'stop' instance {ID} while it is in task_state powering-off"),
        (Action.PAUSE, {"vm_state": VmState.STOPPED}, WrongState,
         f"Cannot 'pause' instance {ID} while it is in vm_state stopped"),
        (Action.CREATE_IMAGE, {"task_state": TaskState.REBOOTING, "action": Action.REBOOT_SOFT}, ServerBusy,
         f"Cannot 'createImage' instance {ID} while it is in task_state rebooting"),
        (Action.REBOOT_HARD, {"task_state": TaskState.POWERING_OFF, "action": Action.STOP}, ServerBusy,
         f"Cannot 'reboot' instance {ID} while it is in task_state powering-off"),
        (Action.STOP, {"launched_at": None, "vm_state": VmState.ERROR}, NotLaunched,
         f"Cannot 'stop' instance {ID} while it is in launched_at None"),
        (Action.STOP, {"host": None}, NotReady, f"Instance {ID} is not ready"),
        (Action.DELETE, {"locked_by": "owner"}, Locked, f"Instance {ID} is locked"),
        (Action.DELETE, {"vm_state": VmState.DELETED}, WrongState,
         f"Cannot 'delete' instance {ID} while it is in vm_state deleted"),
    ],
)  # fmt: skip
def test_a_refusal_is_a_conflict_in_the_words_that_callers_know(
    make_server: Make, action: Action, facts: dict[str, object], error: type[Error], text: str
) -> None:
    with pytest.raises(error) as refused:
        begin(make_server(**facts), action, NOW)
    assert (refused.value.text, refused.value.status) == (text, 409)


def test_an_administrator_overrides_a_lock(make_server: Make) -> None:
    assert begin(make_server(locked_by="owner"), Action.STOP, NOW, may_override_lock=True).action is Action.STOP


def test_a_locked_server_can_be_imaged(make_server: Make) -> None:
    assert begin(make_server(locked_by="admin"), Action.CREATE_IMAGE, NOW).task_state == "image_snapshot_pending"


def test_nothing_begins_while_a_resize_is_being_confirmed_although_no_task_state_shows(make_server: Make) -> None:
    confirming = begin(make_server(VmState.RESIZED), Action.CONFIRM_RESIZE, NOW)
    assert confirming.task_state is None
    with pytest.raises(ServerBusy, match="while it is in task_state confirmResize"):
        begin(confirming, Action.REVERT_RESIZE, NOW)


def test_a_soft_reboot_is_refused_during_a_soft_reboot_and_a_hard_one_takes_over(make_server: Make) -> None:
    rebooting = begin(make_server(), Action.REBOOT_SOFT, NOW)
    with pytest.raises(ServerBusy):
        begin(rebooting, Action.REBOOT_SOFT, NOW)
    assert begin(rebooting, Action.REBOOT_HARD, NOW).task_state is TaskState.REBOOTING_HARD


# -- the launch ---------------------------------------------------
def test_a_launch_shows_its_task_states_and_ends_active_and_running() -> None:
    server = newborn()
    shown = [(server.vm_state, server.task_state, server.power_state)]
    for task_state in RULES[Action.LAUNCH].shows[1:]:
        server = advance(server, task_state, NOW + 1)
        shown.append((server.vm_state, server.task_state, server.power_state))
    assert shown == [
        ("building", "scheduling", 0),
        ("building", None, 0),
        ("building", "networking", 0),
        ("building", "block_device_mapping", 0),
        ("building", "spawning", 0),
    ]
    done = finish(server, Action.LAUNCH, NOW + 2)
    assert (done.vm_state, done.task_state, done.power_state) == ("active", None, 1)
    assert (done.launched_at, done.status, done.action) == (NOW + 2, "ACTIVE", None)


def test_a_new_attempt_goes_back_to_scheduling_and_no_launch_goes_back_elsewhere() -> None:
    spawning = advance(newborn(), TaskState.SPAWNING, NOW)
    assert advance(spawning, TaskState.SCHEDULING, NOW).task_state is TaskState.SCHEDULING
    with pytest.raises(ServerBusy):
        advance(spawning, TaskState.NETWORKING, NOW)


def test_a_task_state_of_another_action_is_refused(make_server: Make) -> None:
    with pytest.raises(ServerBusy):
        advance(begin(make_server(), Action.STOP, NOW), TaskState.SPAWNING, NOW)
    with pytest.raises(ServerBusy):
        advance(make_server(), TaskState.SPAWNING, NOW)


def test_a_failed_launch_is_in_error_with_a_fault() -> None:
    failed = fail(newborn(), Action.LAUNCH, FAULT, NOW)
    assert (failed.vm_state, failed.task_state, failed.status) == ("error", None, "ERROR")
    assert failed.shown_fault == FAULT


def test_a_delete_during_a_launch_takes_over_and_the_launch_hears_of_it() -> None:
    deleting = begin(advance(newborn(), TaskState.NETWORKING, NOW), Action.DELETE, NOW)
    assert (deleting.vm_state, deleting.task_state) == ("building", "deleting")
    with pytest.raises(Superseded):
        finish(deleting, Action.LAUNCH, NOW)
    with pytest.raises(Superseded):
        fail(deleting, Action.LAUNCH, FAULT, NOW)
    assert finish(deleting, Action.DELETE, NOW).vm_state is VmState.DELETED


# -- endings ---------------------------------------------------
def test_a_delete_during_a_delete_changes_nothing(make_server: Make) -> None:
    deleting = begin(make_server(), Action.DELETE, NOW)
    assert begin(deleting, Action.DELETE, NOW + 9) is deleting
    assert begin(deleting, Action.FORCE_DELETE, NOW + 9) is deleting


def test_a_deleted_server_says_when_it_ended(make_server: Make) -> None:
    gone = finish(begin(make_server(), Action.DELETE, NOW), Action.DELETE, NOW + 1)
    assert (gone.terminated_at, gone.deleted_at, gone.status) == (NOW + 1, NOW + 1, "DELETED")


@pytest.mark.parametrize("action", [Action.REBUILD, Action.REVERT_RESIZE])
def test_what_was_stopped_is_stopped_again_after_a_rebuild_or_a_reverted_resize(
    make_server: Make, action: Action
) -> None:
    stopped = make_server(VmState.STOPPED)
    if action is Action.REVERT_RESIZE:
        stopped = finish(begin(stopped, Action.RESIZE, NOW), Action.RESIZE, NOW)
    again = finish(begin(stopped, action, NOW), action, NOW)
    assert (again.vm_state, again.task_state, again.power_state) == ("active", "powering-off", 1)
    assert again.action is Action.STOP
    rest = finish(again, Action.STOP, NOW)
    assert (rest.vm_state, rest.task_state, rest.power_state) == ("stopped", None, 4)


def test_a_resize_that_finds_no_host_leaves_the_server_as_it_was(make_server: Make) -> None:
    failed = fail(begin(make_server(VmState.STOPPED), Action.RESIZE, NOW), Action.RESIZE, FAULT, NOW)
    assert (failed.vm_state, failed.task_state, failed.status) == ("stopped", None, "SHUTOFF")
    assert failed.shown_fault is None


def test_a_driver_that_lost_the_guest_says_so_and_the_server_is_in_error(make_server: Make) -> None:
    assert fail(begin(make_server(), Action.PAUSE, NOW), Action.PAUSE, FAULT, NOW, broken=True).vm_state == "error"
    assert fail(begin(make_server(), Action.PAUSE, NOW), Action.PAUSE, FAULT, NOW).vm_state == "active"


def test_an_end_that_the_rule_does_not_know_is_a_mistake_of_the_program(make_server: Make) -> None:
    with pytest.raises(ValueError, match="never ends in"):
        finish(begin(make_server(), Action.STOP, NOW), Action.STOP, NOW, ends_in=VmState.PAUSED)


def test_an_action_that_only_asks_permission_changes_nothing(make_server: Make) -> None:
    server = make_server()
    assert begin(server, Action.ATTACH_VOLUME, NOW) is server
    assert finish(server, Action.ATTACH_VOLUME, NOW) is server


def test_a_recovered_server_has_no_fault_any_more(make_server: Make) -> None:
    broken = make_server(VmState.ERROR, fault=FAULT)
    assert finish(begin(broken, Action.REBUILD, NOW), Action.REBUILD, NOW).fault is None


def test_what_is_in_flight_for_too_long_is_overdue(make_server: Make) -> None:
    stopping = begin(make_server(), Action.STOP, NOW)
    deadline = RULES[Action.STOP].deadline_s * 1_000_000
    assert not is_overdue(stopping, NOW + deadline)
    assert is_overdue(stopping, NOW + deadline + 1)
    assert not is_overdue(make_server(), NOW + 10 * deadline)


def test_states_change_through_the_four_functions_only(make_server: Make) -> None:
    with pytest.raises(ValueError, match="vm_state"):
        changed(make_server(), NOW, vm_state=VmState.STOPPED)


# -- any history ---------------------------------------------------
moves = st.lists(
    st.tuples(
        st.sampled_from(["begin", "advance", "finish", "fail", "fail broken"]),
        st.sampled_from(list(Action)),
        st.sampled_from([*TaskState, None]),
        st.sampled_from([*PowerState, None]),
    ),
    max_size=40,
)


def move(server: Server, kind: str, action: Action, task_state: TaskState | None, power: PowerState | None) -> Server:
    """One move, by the action that runs if there is one: else random histories would be refusals only."""
    running = server.action or action
    if kind == "begin":
        return begin(server, action, NOW)
    if kind == "advance":
        shows = RULES[running].shows
        return advance(server, shows[-1] if shows else task_state, NOW)
    if kind == "finish":
        return finish(server, running, NOW, power_state=power)
    return fail(server, running, FAULT, NOW, broken=True if kind == "fail broken" else None)


@settings(max_examples=300, deadline=None)
@given(moves)
def test_no_history_of_actions_breaks_the_state(
    history: list[tuple[str, Action, TaskState | None, PowerState]],
) -> None:
    server = newborn()
    server = replace(server, host="host-1")
    for kind, action, task_state, power in history:
        before = server
        try:
            server = move(server, kind, action, task_state, power)
        except Conflict:
            assert server is before
        at_rest = server.action is None
        assert not (at_rest and server.task_state is not None), "something in flight and nobody runs it"
        assert (server.began_in is None) == at_rest
        assert (server.action_at is None) == at_rest
        if not at_rest:
            assert server.action is not None
            assert server.task_state in (*RULES[server.action].shows, None)
        assert (server.vm_state is VmState.DELETED) == (server.deleted_at is not None)
        if before.vm_state is VmState.DELETED:
            assert server.vm_state is VmState.DELETED, "what is deleted stays deleted"
        if server.vm_state is not VmState.RESIZED and at_rest:
            assert server.resized_in is None
        if server.launched_at is None:
            assert server.vm_state in (VmState.BUILDING, VmState.ERROR, VmState.ACTIVE, VmState.DELETED)
        assert server.status != "UNKNOWN"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(VmState)), st.sampled_from([*TaskState, None]), st.sampled_from(list(Action)))
def test_an_action_begins_exactly_where_its_rule_says(
    vm_state: VmState, task_state: TaskState | None, action: Action
) -> None:
    server = replace(
        newborn(), vm_state=vm_state, task_state=task_state, action=None, began_in=None, host="h", launched_at=NOW
    )
    rule = RULES[action]
    allowed = vm_state in rule.vm_states and task_state in rule.task_states and vm_state is not VmState.DELETED
    try:
        check(server, action)
    except (WrongState, ServerBusy):
        assert not allowed
    else:
        assert allowed


def test_a_delete_begins_in_every_state_that_is_not_deleted(make_server: Make) -> None:
    for vm_state in set(VmState) - {VmState.DELETED}:
        for task_state in ANY_TASK:
            server = make_server(vm_state, task_state=task_state, launched_at=None, host=None)
            assert begin(server, Action.DELETE, NOW).task_state is TaskState.DELETING


def test_only_the_first_task_state_shows_when_an_action_begins(make_server: Make) -> None:
    for action, rule in RULES.items():
        if action is Action.LAUNCH or rule.is_guard:
            continue
        start = VmState.ACTIVE if VmState.ACTIVE in rule.vm_states else sorted(rule.vm_states)[0]
        assert rule.task_states in (IDLE, ANY_TASK) or None in rule.task_states
        begun = begin(make_server(start), action, NOW)
        assert begun.task_state == (rule.shows[0] if rule.shows else None)
        assert begun.vm_state is start
