"""The broker that all tests of this folder share; each cleans what it made."""

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Run
from tests.contract.buses.party import Scenario, party
from tests.private_rabbitmq import PrivateRabbit


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A running RabbitMQ; its tests stay together on one worker."""
    broker = PrivateRabbit(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def play(rabbit: PrivateRabbit, run: Run) -> Callable[[Scenario], None]:
    """`play(scenario)` runs it with a party on the broker."""

    def played(scenario: Scenario) -> None:
        async def work() -> None:
            async with party(rabbit) as made:
                await scenario(made)

        run(work)

    return played


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "rabbit" in getattr(item, "fixturenames", ()) or "rabbitmq" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("rabbitmq"))
