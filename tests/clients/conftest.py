"""One cloud of three fake hosts for a session, and projects of their own for those who use it."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.process import CloudProcess, OpenStack

openstack = pytest.importorskip("openstack")

NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.clients)
            item.add_marker(pytest.mark.xdist_group("clients"))
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudProcess]:
    process = CloudProcess(tmp_path_factory.mktemp("cloud") / "state")
    try:
        process.up("--hypervisor", "fake", "--hosts", "3")
        yield process
        assert process.document("audit")["findings"] == []
    finally:
        process.clean_up()


@pytest.fixture(scope="session")
def admin(cloud: CloudProcess) -> Iterator[Any]:
    """The administrator's connection."""
    with connect(cloud) as connection:
        yield connection


def connect(cloud: CloudProcess, **auth: str) -> Any:
    settings = cloud.settings(**auth)
    return openstack.connect(load_yaml_config=False, load_envvars=False, **settings)


@dataclass(frozen=True)
class Person:
    """A user with a project of their own."""

    name: str
    password: str
    project_id: str
    connection: Any  # openstack.connection.Connection
    command: OpenStack


@pytest.fixture(scope="session")
def newcomer(cloud: CloudProcess, admin: Any) -> Callable[..., Person]:
    """`newcomer(role)` makes a user with that role in a new project."""
    environment = cloud.environment()

    def make(role: str = "member") -> Person:
        name, password = f"person-{next(NUMBERS)}", "pass 'word'"
        project = admin.identity.create_project(name=name)
        user = admin.identity.create_user(name=name, password=password, default_project_id=project.id)
        admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role(role))
        who = {"OS_USERNAME": name, "OS_PASSWORD": password, "OS_PROJECT_NAME": name}
        connection = connect(cloud, username=name, password=password, project_name=name)
        return Person(name, password, project.id, connection, OpenStack(environment | who))

    return make


@pytest.fixture
def member(newcomer: Callable[..., Person]) -> Person:
    return newcomer()


@pytest.fixture(scope="session")
def flavor(admin: Any) -> Any:
    return admin.compute.create_flavor(name="small", ram=256, vcpus=1, disk=1)


@pytest.fixture(scope="session")
def image(admin: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A public image of 1 MiB."""
    path = tmp_path_factory.mktemp("image") / "blank.raw"
    path.write_bytes(bytes(1 << 20))
    return admin.create_image("blank", filename=str(path), disk_format="raw", visibility="public", wait=True)
