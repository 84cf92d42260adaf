"""What was done with servers, in the database."""

from pileus.compute.store import actions
from pileus.foundation.context import Context
from pileus.foundation.database import Transaction
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import CALLERS, NOW, Cloud


def test_a_second_record_of_a_request_changes_nothing(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        context = Context("req-1", CALLERS["alice"])

        async def twice(tx: Transaction) -> None:
            await actions.record(tx, server, context, "stop", "flow-1", now=NOW)
            await actions.record(tx, server, context, "start", "flow-2", now=NOW + 1)

        await cloud.transact(twice)
        (found,) = await actions.listed(cloud.compute.database, server.id)
        assert (found.action, found.flow_id, found.started_at, found.message) == ("stop", "flow-1", NOW, None)
        assert await actions.of_flow(cloud.compute.database, "flow-1") == found
        assert await actions.of_flow(cloud.compute.database, "flow-2") is None

    talk(work)


def test_an_event_begins_once_and_its_end_is_told(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        context = Context("req-1", CALLERS["alice"])

        async def story(tx: Transaction) -> None:
            await actions.record(tx, server, context, "stop", "", now=NOW)
            for late in (1, 2):
                await actions.begin_event(tx, server.id, "req-1", "compute_stop", host=None, now=NOW + late)
            await actions.end_event(tx, server.id, "req-1", "compute_stop", now=NOW + 9, error="no power")

        await cloud.transact(story)
        database = cloud.compute.database
        (event,) = await actions.events(database, server.id, "req-1")
        assert (event.started_at, event.ended_at, event.result, event.details) == (
            NOW + 1, NOW + 9, "Error", "no power",
        )  # fmt: skip
        assert event.host == "compute1"  # where the server is
        found = await actions.find(database, server.id, "req-1")
        assert found is not None
        assert (found.message, found.updated_at) == ("Error", NOW + 9)
        await cloud.transact(lambda tx: actions.forget(tx, server.id))
        assert await actions.find(database, server.id, "req-1") is None
        assert await actions.events(database, server.id, "req-1") == []

    talk(work)
