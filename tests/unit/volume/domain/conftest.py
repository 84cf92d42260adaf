"""Volumes for the tests of the domain."""

from collections.abc import Callable
from typing import Any

import pytest

from pileus.volume.domain.volume import Attachment, Volume, VolumeId
from pileus.volume.domain.volume_states import AttachStatus, VolumeStatus

Make = Callable[..., Volume]
NOW = 1_700_000_000_000_000
ID = "11111111-1111-4111-8111-111111111111"
SERVER = "22222222-2222-4222-8222-222222222222"


def attachment(status: AttachStatus = AttachStatus.ATTACHED, **facts: Any) -> Attachment:
    told = {"id": "a1", "server_id": SERVER, "connector": {"host": "h"}, "changed_at": NOW}
    return Attachment(volume_id=ID, project_id="p", status=status, **{**told, **facts})


@pytest.fixture
def make_volume() -> Make:
    """`make_volume(status, **facts)`: a volume at rest in that status."""

    def make(status: VolumeStatus = VolumeStatus.AVAILABLE, **facts: Any) -> Volume:
        told: dict[str, Any] = {
            "id": VolumeId(ID), "project_id": "p", "user_id": "u", "size_gib": 1, "backend": "fake", "type_id": "t",
            "zone": "nova", "created_at": NOW, "generation": 1,
        }  # fmt: skip
        return Volume(status=status, **{**told, **facts})

    return make
