"""Every test of the contract runs on every hypervisor; libvirt is a private one, made once for a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.hypervisors.bench import Bench, LibvirtBench
from tests.contract.hypervisors.private_libvirt import PrivateLibvirt, why_not


@pytest.fixture(scope="session")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateLibvirt]:
    """A libvirtd for this session alone. Skipped only where root or the programs are missing."""
    lacks = why_not()
    if lacks:
        pytest.skip(lacks)
    daemon = PrivateLibvirt(tmp_path_factory.mktemp("libvirt"))
    yield daemon
    daemon.stop()


@pytest.fixture
def libvirt_bench(libvirtd: PrivateLibvirt, tmp_path: Path) -> Iterator[LibvirtBench]:
    bench = LibvirtBench(tmp_path, libvirtd)
    yield bench
    bench.close()


@pytest.fixture(params=["fake", pytest.param("libvirt", marks=pytest.mark.machine)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "fake":
        return Bench(tmp_path)
    found: Bench = request.getfixturevalue("libvirt_bench")
    return found
