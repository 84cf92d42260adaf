"""What the clusters of this folder stand on: a socket file and SQLite, or RabbitMQ and PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import Cluster
from tests.processes.witnesses import LINE_PREFIX

MakeCluster = Callable[[], Cluster]


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    broker = PrivateRabbit(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    server = Server()
    server.settings["log_line_prefix"] = LINE_PREFIX
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def small(tmp_path: Path) -> MakeCluster:
    """A cluster that needs nothing but this machine's files."""
    (tmp_path / "state").mkdir()
    database, bus = f"sqlite:///{tmp_path}/state/pileus.db", f"hub://{tmp_path}/bus.sock"
    return lambda: Cluster(tmp_path, database=database, bus=bus)


@pytest.fixture
def large(tmp_path: Path, rabbit: PrivateRabbit, postgres: Server) -> MakeCluster:
    """A cluster as it is run: RabbitMQ, with an account for each host, and PostgreSQL."""
    database = postgres.url(postgres.create())
    return lambda: Cluster(
        tmp_path, database=database, bus=rabbit.url(), host_bus=lambda host: rabbit.url(f"host.{host}")
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One broker and one database server are enough: their tests stay together on one worker."""
    for item in items:
        if "rabbit" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("rabbitmq"))
