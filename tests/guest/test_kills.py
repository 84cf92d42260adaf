"""kill -9 of the cloud in the midst of launches and deletes of real guests: each promise is kept, nothing is left."""

import random

import pytest

from tests.crowd import Crowd
from tests.guest.conftest import Cloud
from tests.guest.machine import Machine

pytestmark = [pytest.mark.guest, pytest.mark.machine]


@pytest.mark.parametrize("turn", range(2))
def test_three_guests_outlive_or_follow_their_cloud(cloud: Cloud, machine: Machine, turn: int) -> None:
    template = {"flavorRef": "tiny", "imageRef": cloud.image_id, "networks": [{"uuid": cloud.network_id}]}
    crowd = Crowd(cloud.process, cloud.admin, template, random.Random())
    promises = crowd.live_through(3, kills=2, within_s=1.5)
    assert crowd.broken(promises) == []
    assert len(machine.domains()) == len(crowd.rest())
    crowd.leave()
    assert machine.domains() == []
    assert cloud.process.document("audit")["clean"]
