"""Attachments: one record, one way through its states."""

import pytest

from pileus.volume.domain import attaching
from pileus.volume.domain.errors import AttachmentNotFound, InvalidInput, InvalidVolume, StaleConnector, WrongStatus
from pileus.volume.domain.volume import Volume
from pileus.volume.domain.volume_states import Action, AttachStatus, VolumeStatus, begin
from tests.unit.volume.domain.conftest import NOW, SERVER, Make, attachment

S, T = VolumeStatus, AttachStatus
CONNECTOR = {"host": "h1", "mountpoint": "/dev/vdb", "pileus_epoch": 3}
CONNECTION = {"driver_volume_type": "file", "data": {"path": "/x", "format": "raw"}}


def attached(volume: Volume) -> Volume:
    volume = attaching.reserve(volume, "a1", SERVER, "rw", NOW)
    volume = attaching.begin_connecting(volume, "a1", CONNECTOR, NOW)
    volume = attaching.connected(volume, "a1", 3, CONNECTION, NOW)
    return attaching.complete(volume, "a1", NOW + 1)


def test_the_whole_way_there_and_back(make_volume: Make) -> None:
    volume = attaching.reserve(make_volume(), "a1", SERVER, "rw", NOW)
    assert (volume.status, volume.attachments[0].status) == (S.RESERVED, T.RESERVED)
    volume = attaching.begin_connecting(volume, "a1", CONNECTOR, NOW)
    held = volume.attachments[0]
    assert (volume.status, held.host, held.device, held.epoch) == (S.ATTACHING, "h1", "/dev/vdb", 3)
    volume = attaching.complete(attaching.connected(volume, "a1", 3, CONNECTION, NOW), "a1", NOW)
    assert (volume.status, volume.attachments[0].attached_at) == (S.IN_USE, NOW)
    volume = attaching.let_go(volume, "a1", NOW)
    assert volume.status is S.DETACHING
    volume = attaching.forget(volume, "a1", NOW)
    assert (volume.status, volume.attachments) == (S.AVAILABLE, ())


def test_every_step_may_be_said_again(make_volume: Make) -> None:
    volume = attached(make_volume())
    again = attaching.begin_connecting(volume, "a1", CONNECTOR, NOW)
    assert again.attachments[0].status is T.ATTACHED
    assert attaching.connected(volume, "a1", 3, CONNECTION, NOW) is volume
    assert attaching.complete(volume, "a1", NOW) is volume
    gone = attaching.let_go(volume, "a1", NOW)
    assert attaching.let_go(gone, "a1", NOW) is gone
    free = attaching.forget(gone, "a1", NOW)
    assert attaching.forget(free, "a1", NOW) is free


def test_a_fenced_build_gets_no_connection(make_volume: Make) -> None:
    volume = attached(make_volume())
    with pytest.raises(StaleConnector) as refused:
        attaching.begin_connecting(volume, "a1", {**CONNECTOR, "pileus_epoch": 2}, NOW)
    assert refused.value.status == 409
    newer = attaching.begin_connecting(volume, "a1", {**CONNECTOR, "host": "h2", "pileus_epoch": 4}, NOW)
    with pytest.raises(StaleConnector):
        attaching.connected(newer, "a1", 3, CONNECTION, NOW)
    with pytest.raises(InvalidInput):
        attaching.begin_connecting(volume, "a1", {"pileus_epoch": "latest"}, NOW)


def test_one_volume_goes_to_one_server_unless_it_is_multiattach(make_volume: Make) -> None:
    with pytest.raises(WrongStatus):
        attaching.reserve(attached(make_volume()), "a2", "other", "rw", NOW)
    both = attaching.reserve(attached(make_volume(is_multiattach=True)), "a2", "other", "rw", NOW)
    assert [held.id for held in both.attachments] == ["a1", "a2"]
    assert both.status is S.IN_USE


def test_a_server_may_reserve_what_it_has_to_move_it(make_volume: Make) -> None:
    both = attaching.reserve(attached(make_volume()), "a2", SERVER, "rw", NOW)
    assert attaching.forget(both, "a1", NOW).status is S.RESERVED


@pytest.mark.parametrize("status", [S.CREATING, S.DELETING, S.ERROR, S.EXTENDING, S.RESERVED, S.MAINTENANCE])
def test_only_a_free_volume_is_reserved(make_volume: Make, status: VolumeStatus) -> None:
    with pytest.raises(WrongStatus):
        attaching.reserve(make_volume(status), "a1", SERVER, "rw", NOW)


def test_a_volume_that_is_being_filled_is_reserved_but_not_connected(make_volume: Make) -> None:
    filling = make_volume(S.DOWNLOADING, action=Action.CREATE, began_in=S.CREATING)
    volume = attaching.reserve(filling, "a1", SERVER, "rw", NOW)
    assert volume.status is S.DOWNLOADING
    with pytest.raises(InvalidVolume):
        attaching.begin_connecting(volume, "a1", CONNECTOR, NOW)


def test_a_read_only_volume_is_attached_read_only(make_volume: Make) -> None:
    volume = make_volume(read_only=True)
    with pytest.raises(InvalidVolume):
        attaching.reserve(volume, "a1", SERVER, "rw", NOW)
    volume = attaching.reserve(volume, "a1", SERVER, "ro", NOW)
    with pytest.raises(InvalidVolume):
        attaching.begin_connecting(volume, "a1", {**CONNECTOR, "mode": "rw"}, NOW)
    assert attaching.begin_connecting(volume, "a1", CONNECTOR, NOW).attachments[0].mode == "ro"
    with pytest.raises(InvalidInput):
        attaching.reserve(make_volume(), "a1", SERVER, "maybe", NOW)


def test_nothing_comes_back_from_being_let_go(make_volume: Make) -> None:
    volume = attaching.let_go(attached(make_volume()), "a1", NOW)
    with pytest.raises(InvalidVolume):
        attaching.begin_connecting(volume, "a1", CONNECTOR, NOW)
    with pytest.raises(InvalidVolume):
        attaching.complete(volume, "a1", NOW)


def test_an_attachment_is_complete_only_after_it_was_connected(make_volume: Make) -> None:
    with pytest.raises(InvalidVolume):
        attaching.complete(attaching.reserve(make_volume(), "a1", SERVER, "rw", NOW), "a1", NOW)


def test_an_unknown_attachment_is_not_found(make_volume: Make) -> None:
    with pytest.raises(AttachmentNotFound):
        attaching.complete(make_volume(), "a1", NOW)


def test_the_old_call_attaches_at_once(make_volume: Make) -> None:
    volume = attaching.attach(
        make_volume(), "a1", server_id=SERVER, host=None, device="/dev/vdc", mode="rw", now=NOW
    )  # fmt: skip
    assert (volume.status, volume.attachments[0].device) == (S.IN_USE, "/dev/vdc")


def test_letting_go_while_another_action_runs_leaves_its_status(make_volume: Make) -> None:
    held = make_volume(S.IN_USE, attachments=(attachment(T.ATTACHED),))
    growing = begin(held, Action.EXTEND, NOW, more=True)
    assert attaching.forget(growing, "a1", NOW).status is S.EXTENDING
