"""Statuses, and lists filtered by them."""

from collections.abc import Callable

import pytest

from pileus.compute.domain.server import Fault, Server
from pileus.compute.domain.server_states import TaskState, VmState
from pileus.compute.domain.server_status import STATUS_FILTERS, STATUSES, status_filters, status_of

EVERYWHERE = [(vm_state, task_state) for vm_state in VmState for task_state in (*TaskState, None)]


@pytest.mark.parametrize("name", sorted(STATUSES))
def test_a_filter_admits_exactly_the_servers_that_show_its_status(name: str) -> None:
    found = STATUS_FILTERS[name]
    for vm_state, task_state in EVERYWHERE:
        assert found.admits(vm_state, task_state) == (status_of(vm_state, task_state) == name)
        in_sets = vm_state in found.vm_states and (found.task_states is None or task_state in found.task_states)
        assert in_sets == found.admits(vm_state, task_state)


def test_every_status_has_a_filter_and_no_other() -> None:
    assert set(STATUS_FILTERS) == STATUSES


def test_statuses_are_named_in_any_case_and_unknown_ones_are_told() -> None:
    known, unknown = status_filters(["active", "Shutoff", "ACTIVE", "nonsense"])
    assert [found.status for found in known] == ["ACTIVE", "SHUTOFF"]
    assert unknown == ("NONSENSE",)


def test_a_fault_shows_only_with_error_and_deleted(make_server: Callable[..., Server]) -> None:
    fault = Fault("no", 1)
    shown = {state for state in VmState if make_server(state, fault=fault).shown_fault is not None}
    assert shown == {VmState.ERROR, VmState.DELETED}


def test_progress_shows_only_while_there_is_some(make_server: Callable[..., Server]) -> None:
    assert make_server(VmState.STOPPED).shown_progress is None
    assert make_server(VmState.ACTIVE, progress=7).shown_progress == 7
