"""What every test may ask for: a loop to run on, a runtime, an empty database, the small guest image."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from xdist.workermanage import NodeManager

from pileus.foundation.runtime import Crashed, Runtime
from pileus.guest_image import ensure_image
from tests import databases
from tests import postgres as postgres_server
from tests.databases import database_at

T = TypeVar("T")
Run = Callable[..., Any]

IMAGE_CACHE = Path(__file__).resolve().parents[1] / ".pileus" / "cache"


PUT_AWAY_S = 50
"""How long workers may take to end what their fixtures began; `.ci/run` waits for a minute."""


def pytest_configure() -> None:
    """A run that is told to stop ends as one that is interrupted: fixtures take away what they began."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    NodeManager.EXIT_TIMEOUT = PUT_AWAY_S


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that change the machine stay together on one worker; without root they are skipped, and say so."""
    for item in items:
        if item.get_closest_marker("machine"):
            item.add_marker(pytest.mark.xdist_group("machine"))
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip("changes bridges, namespaces or libvirt: needs root"))


ON_BOTH = (
    "api/test_compute_life.py", "api/test_images.py", "api/test_network_basics.py", "api/test_network_lists.py",
    "api/test_network_ports.py", "api/test_network_routers.py", "api/test_placement_allocations.py",
    "api/test_placement_providers.py", "api/test_server_addresses.py", "api/test_volume_attachments.py",
    "api/test_volume_basics.py", "api/test_volume_lists.py", "api/test_volume_snapshots.py",
    "security/test_simultaneous.py", "unit/compute/api/test_server_lists.py", "unit/compute/store",
    "unit/identity/app", "unit/image/store", "unit/network/store",
)  # fmt: skip
"""Tests of the whole of a service or of its queries, run on SQLite and on PostgreSQL; all others run on either when
`PILEUS_TEST_DATABASE` says which."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path = metafunc.definition.path.relative_to(Path(__file__).parent).as_posix()
    if path.startswith(ON_BOTH) and databases.kind() == "sqlite":
        metafunc.parametrize("database_kind", databases.KINDS, indirect=True)


@pytest.fixture(autouse=True)
def database_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """On which kind of database the stage of this test stands."""
    kind = getattr(request, "param", databases.kind())
    if kind == "postgres":
        request.getfixturevalue("postgres")
    with databases.on(kind):
        yield kind


@pytest.fixture
def run() -> Run:
    """`run(work, *args)` calls a coroutine function on a fresh event loop and returns what it returns."""

    def run_on_a_fresh_loop(work: Callable[..., Coroutine[Any, Any, T]], *args: Any, **kwargs: Any) -> T:
        return asyncio.run(work(*args, **kwargs))

    return run_on_a_fresh_loop


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """The machine's own clock, ids, threads and commands; its pools are closed afterwards."""
    runtime = Runtime("test")
    yield runtime
    asyncio.run(runtime.stop())


@pytest.fixture
def database(tmp_path: Path, runtime: Runtime) -> Iterator[Any]:
    """An empty database of its own; `run(database.migrate, SCHEMA)` gives it tables."""
    database = database_at(tmp_path / "pileus.sqlite", runtime)
    yield database
    with contextlib.suppress(Crashed):  # a test that let its process die has nobody left to close it
        asyncio.run(database.close())


@pytest.fixture(scope="session")
def postgres() -> postgres_server.Server:
    """A PostgreSQL server of this test session's own."""
    if postgres_server.binaries() is None:
        pytest.skip("PostgreSQL is not installed: run tools/setup --tests")
    return postgres_server.shared()


@pytest.fixture(scope="session")
def guest_image() -> Path:
    """The small guest image (qcow2, read-only by convention), built once for this checkout: about 10 s."""

    async def build() -> Path:
        runtime = Runtime("guest-image")
        try:
            return await ensure_image(runtime, IMAGE_CACHE)
        finally:
            await runtime.stop()

    IMAGE_CACHE.mkdir(parents=True, exist_ok=True)
    with (IMAGE_CACHE / "lock").open("w") as lock:  # test workers run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        return asyncio.run(build())
