"""kill -9 of the whole cloud, again and again, in the midst of many launches and deletes: no promise is lost."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import admin_of, furnish
from tests.crowd import Crowd
from tests.process import CloudProcess

SIZE = 50
KILLS = int(os.environ.get("PILEUS_KILLS", "5"))


@pytest.fixture
def process(tmp_path: Path) -> Iterator[CloudProcess]:
    found = CloudProcess(tmp_path / "state")
    yield found
    found.clean_up()


def test_what_was_accepted_is_kept_by_a_cloud_that_is_killed_again_and_again(process: CloudProcess) -> None:
    process.up("--hypervisor", "fake", "--hosts", "3")
    admin = admin_of(process)
    furnish(admin)
    network = admin.post("network", "/networks", {"network": {"name": "net"}})["network"]["id"]
    admin.post("network", "/subnets", {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"}})
    quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    admin.send("compute", "PUT", f"/os-quota-sets/{admin.project_id}", quota)
    image = admin.get("image", "/images")["images"][0]["id"]
    template = {"flavorRef": "small", "imageRef": image, "networks": [{"uuid": network}]}
    crowd = Crowd(process, admin, template, random.Random())
    promises = crowd.live_through(SIZE, kills=KILLS, within_s=1.5)
    assert sum(bool(promise.server_id) for promise in promises) > SIZE // 4, "the cloud was hardly ever up"
    assert crowd.broken(promises) == []
    crowd.leave()
    assert process.document("audit")["clean"]
