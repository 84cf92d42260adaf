"""What begins, ends and fails, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pileus.volume.domain.errors import Superseded, WrongStatus
from pileus.volume.domain.volume import Volume, VolumeId
from pileus.volume.domain.volume_states import (
    ANY,
    DELETABLE,
    RULES,
    TRANSITIONAL,
    Action,
    AttachStatus,
    VolumeStatus,
    advance,
    begin,
    check,
    fail,
    finish,
    is_overdue,
    mark,
    reset,
    settle,
    status_of,
)
from tests.unit.volume.domain.conftest import ID, NOW, Make, attachment

S, T = VolumeStatus, AttachStatus


def test_a_wrong_status_is_a_bad_request_in_the_words_that_callers_know(make_volume: Make) -> None:
    with pytest.raises(WrongStatus) as refused:
        begin(make_volume(S.CREATING), Action.DELETE, NOW)
    assert refused.value.status == 400
    assert refused.value.text.startswith("Invalid volume: Volume status must be available or error or error_restoring")
    with pytest.raises(WrongStatus, match=f"Volume {ID} status must be 'available' to extend, currently in-use."):
        begin(make_volume(S.IN_USE), Action.EXTEND, NOW)


@pytest.mark.parametrize("status", sorted(ANY))
def test_only_what_rests_can_be_deleted_but_by_force_everything(make_volume: Make, status: VolumeStatus) -> None:
    assert begin(make_volume(status), Action.FORCE_DELETE, NOW).status is S.DELETING
    if status in DELETABLE:
        assert begin(make_volume(status), Action.DELETE, NOW).action is Action.DELETE
    else:
        with pytest.raises(WrongStatus):
            begin(make_volume(status), Action.DELETE, NOW)


def test_a_volume_that_something_holds_is_not_deleted(make_volume: Make) -> None:
    with pytest.raises(WrongStatus):
        begin(make_volume(S.ERROR, attachments=(attachment(T.RESERVED),)), Action.DELETE, NOW)


def test_a_delete_during_a_delete_changes_nothing(make_volume: Make) -> None:
    leaving = begin(make_volume(), Action.DELETE, NOW)
    assert begin(leaving, Action.DELETE, NOW + 1) is leaving
    assert begin(leaving, Action.FORCE_DELETE, NOW + 1) is leaving


def test_a_volume_in_use_is_extended_only_when_asked_for(make_volume: Make) -> None:
    held = make_volume(S.IN_USE, attachments=(attachment(),))
    growing = begin(held, Action.EXTEND, NOW, more=True)
    assert growing.status is S.EXTENDING
    assert finish(growing, Action.EXTEND, NOW).status is S.IN_USE


def test_a_volume_ends_where_its_attachments_put_it(make_volume: Make) -> None:
    making = make_volume(S.CREATING, action=Action.CREATE, began_in=S.CREATING, attachments=(attachment(T.RESERVED),))
    filling = advance(making, S.DOWNLOADING, NOW)
    assert filling.status is S.DOWNLOADING
    assert advance(filling, S.DOWNLOADING, NOW) is filling
    done = finish(filling, Action.CREATE, NOW)
    assert (done.status, done.action, done.action_at) == (S.RESERVED, None, None)


def test_a_status_of_another_action_is_not_reached(make_volume: Make) -> None:
    with pytest.raises(Superseded):
        advance(begin(make_volume(), Action.DELETE, NOW), S.DOWNLOADING, NOW)
    with pytest.raises(Superseded):
        advance(make_volume(), S.DOWNLOADING, NOW)


def test_a_failure_ends_where_the_rule_says_or_where_it_began(make_volume: Make) -> None:
    assert fail(begin(make_volume(), Action.EXTEND, NOW), Action.EXTEND, NOW).status is S.ERROR_EXTENDING
    retyping = begin(make_volume(S.IN_USE, attachments=(attachment(),)), Action.RETYPE, NOW)
    assert fail(retyping, Action.RETYPE, NOW).status is S.IN_USE


def test_whoever_was_superseded_ends_nothing(make_volume: Make) -> None:
    leaving = begin(make_volume(), Action.DELETE, NOW)
    for end in (finish, fail):
        with pytest.raises(Superseded):
            end(leaving, Action.CREATE, NOW)


def test_the_furthest_attachment_shows() -> None:
    assert status_of(()) is S.AVAILABLE
    assert status_of((attachment(T.RESERVED),)) is S.RESERVED
    assert status_of((attachment(T.RESERVED), attachment(T.ATTACHING))) is S.ATTACHING
    assert status_of((attachment(T.DETACHED), attachment(T.ATTACHED))) is S.IN_USE
    assert status_of((attachment(T.DETACHED),)) is S.DETACHING


def test_an_error_is_not_healed_by_an_attachment_that_goes(make_volume: Make) -> None:
    for status in (S.ERROR, S.ERROR_EXTENDING, S.MAINTENANCE):
        assert settle(make_volume(status), NOW).status is status
    extending = begin(make_volume(), Action.EXTEND, NOW)
    assert settle(extending, NOW) is extending


def test_the_old_calls_move_the_status_there_and_back(make_volume: Make) -> None:
    reserved = mark(make_volume(), Action.RESERVE, NOW)
    assert reserved.status is S.ATTACHING
    assert mark(reserved, Action.UNRESERVE, NOW).status is S.AVAILABLE
    held = make_volume(S.IN_USE, attachments=(attachment(),))
    leaving = mark(held, Action.BEGIN_DETACHING, NOW)
    assert leaving.status is S.DETACHING
    assert mark(leaving, Action.ROLL_DETACHING, NOW).status is S.IN_USE


def test_nothing_is_detached_that_is_not_attached(make_volume: Make) -> None:
    for volume in (make_volume(), make_volume(S.IN_USE)):
        with pytest.raises(WrongStatus, match="attach_status must be 'attached' to detach"):
            mark(volume, Action.BEGIN_DETACHING, NOW)


def test_a_multiattach_volume_in_use_is_reserved_again(make_volume: Make) -> None:
    held = make_volume(S.IN_USE, attachments=(attachment(),))
    with pytest.raises(WrongStatus):
        check(held, Action.RESERVE, more=held.is_multiattach)
    assert check(replace(held, is_multiattach=True), Action.RESERVE, more=True)


def test_an_administrators_word_ends_what_was_in_flight(make_volume: Make) -> None:
    calm = reset(begin(make_volume(), Action.EXTEND, NOW), S.ERROR, NOW)
    assert (calm.status, calm.action, calm.began_in) == (S.ERROR, None, None)


def test_what_is_in_flight_for_too_long_is_overdue(make_volume: Make) -> None:
    growing = begin(make_volume(), Action.EXTEND, NOW)
    limit = RULES[Action.EXTEND].deadline_s * 1_000_000
    assert not is_overdue(growing, NOW + limit)
    assert is_overdue(growing, NOW + limit + 1)
    assert not is_overdue(make_volume(), NOW + 10 * limit)


@given(st.lists(st.tuples(st.sampled_from(sorted(Action)), st.sampled_from(["finish", "fail", "leave"])), max_size=8))
def test_no_order_of_actions_leaves_a_transitional_status_without_an_action(steps: list[tuple[Action, str]]) -> None:
    volume = Volume(
        id=VolumeId(ID), project_id="p", user_id="u", size_gib=1, backend="b", type_id="t", zone="z", created_at=NOW,
        status=S.AVAILABLE,
    )  # fmt: skip
    for action, how in steps:
        try:
            volume = begin(volume, action, NOW)
        except WrongStatus:
            continue
        if volume.action is action and how != "leave":
            volume = (finish if how == "finish" else fail)(volume, action, NOW)
        assert (volume.status in TRANSITIONAL) <= (volume.action is not None)
