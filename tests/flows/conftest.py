"""One theatre for all tests of a worker: every scenario is prepared once."""

from collections.abc import Iterator

import pytest

from tests.flows.stage import Theatre, theatre


@pytest.fixture(scope="session")
def house() -> Iterator[Theatre]:
    with theatre() as made:
        yield made


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What fails on purpose is not worth a page of log."""
    caplog.set_level("CRITICAL")
