"""Clouds of their own for tests of the command line, and one of two hosts that many may look at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pileus import credentials, running
from pileus.rest import Rest
from tests.process import CloudProcess


@pytest.fixture
def process(tmp_path: Path) -> Iterator[CloudProcess]:
    """A cloud that is not up yet."""
    found = CloudProcess(tmp_path / "state")
    yield found
    found.clean_up()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    """A cloud of two fake hosts, each of 4 GiB, with an image and a flavor; tests leave it clean."""
    found = CloudProcess(tmp_path_factory.mktemp("cloud") / "state")
    try:
        found.up("--hypervisor", "fake", "--hosts", "2", "--hypervisor-option", "ram_mib=4096")
        furnish(admin_of(found))
        yield found
    finally:
        found.clean_up()


def admin_of(process: CloudProcess) -> Rest:
    """The administrator, logged in."""
    state = process.state_dir
    return Rest(running.facts(state).url, "admin", credentials.admin_password(state))


def furnish(admin: Rest) -> None:
    """An image and a flavor, both named small."""
    admin.post("compute", "/flavors", {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 1, "id": "small"}})
    image = admin.post("image", "/images", {"name": "small", "disk_format": "raw", "container_format": "bare"})
    headers = {"content-type": "application/octet-stream"}
    path = f"/images/{image['id']}/file"
    admin.send("image", "PUT", path, headers=headers, chunks=iter([bytes(1 << 20)]))


Launch = Callable[..., str]


def launch(admin: Rest, name: str, **metadata: str) -> str:
    """Ask for a server and return its id; colons of metadata's keys are written as `__`."""
    image = admin.get("image", "/images")["images"][0]["id"]
    server: dict[str, Any] = {
        "name": name, "flavorRef": "small", "imageRef": image, "networks": "none",
        "metadata": {key.replace("__", ":"): value for key, value in metadata.items()},
    }  # fmt: skip
    return str(admin.post("compute", "/servers", {"server": server}, version="2.90")["server"]["id"])


def shown(admin: Rest, server_id: str) -> Any:
    return admin.get("compute", f"/servers/{server_id}")["server"]
