"""Rows of servers: kept documents, and what happens to those of an older renderer."""

import json
from typing import Any

import pytest

from pileus.compute.domain.server_document import RENDERER, render
from pileus.compute.domain.server_query import SORT_KEYS, Listed, ServerQuery
from pileus.compute.domain.server_states import Action, TaskState
from pileus.compute.store import server_lists, servers
from pileus.foundation.database import sql
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, Cloud, uuid

_AGE = sql("UPDATE compute_servers SET renderer = :old, document_first = :wrong, document_latest = :wrong")
_KEPT = sql("SELECT renderer, document_first, document_latest, document_admin FROM compute_servers WHERE id = :id")


def test_a_server_at_rest_keeps_its_documents_and_one_in_motion_none(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        resting = await cloud.server(1)
        row = await cloud.compute.database.one(_KEPT, id=resting.id)
        assert tuple(row) == (RENDERER, *render(resting))
        moving = await cloud.server(2, action=Action.REBUILD, task_state=TaskState.REBUILDING)
        assert tuple(await cloud.compute.database.one(_KEPT, id=moving.id)) == (0, None, None, None)

    talk(work)


def test_documents_of_an_older_renderer_are_not_shown(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        before = [await cloud.get("/servers/detail", version=version) for version in ("2.1", "2.100")]
        await cloud.transact(lambda tx: tx.run(_AGE, old=RENDERER - 1, wrong=b'{"wrong":1'))
        after = [await cloud.get("/servers/detail", version=version) for version in ("2.1", "2.100")]
        assert after == before
        shown = await cloud.get(f"/servers/{server.id}", version="2.100")
        assert "wrong" not in json.dumps(shown)

    talk(work)


@pytest.mark.parametrize("with_admin", [True, False])
@pytest.mark.parametrize("form", ["brief", "first", "latest", "whole"])
def test_a_page_brings_what_its_form_needs(talk: Talk, form: Any, with_admin: bool) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        query = ServerQuery(form=form, with_admin=with_admin, project_id=ALICE)
        (found,) = await server_lists.page(cloud.compute.database, query, limit=10, marker=None)
        documents = render(server)
        assert found.id == server.id
        assert found.document == {"first": documents.first, "latest": documents.latest}.get(form)
        assert (found.data is not None) == (form == "whole")
        assert found.host == ("compute1" if with_admin else None)
        assert found.admin == (documents.admin if with_admin and form in ("first", "latest") else None)
        if form == "whole":
            assert found.server().name == server.name

    talk(work)


@pytest.mark.parametrize("form", ["brief", "first", "latest", "whole"])
def test_one_server_brings_its_whole_row(talk: Talk, form: Any) -> None:
    async def work(cloud: Cloud) -> Listed | None:
        await cloud.server(1)
        assert await server_lists.find(cloud.compute.database, uuid(9), form) is None
        return await server_lists.find(cloud.compute.database, uuid(1), form)

    found = talk(work)
    assert (found.project_id, found.user_id, found.name, found.hostname) == (ALICE, "u-alice", "web1", "web1")
    assert found.addresses == "10.0.0.1 fd00::1"


@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize("key", sorted(SORT_KEYS))
def test_pages_by_any_key_meet_every_server_once(talk: Talk, key: str, way: str) -> None:
    async def work(cloud: Cloud) -> None:
        for number in range(1, 8):
            await cloud.server(number, host=None if number % 3 else "h", key_name=None if number % 2 else "k")
        query = ServerQuery(sort=((key, way), ("uuid", "asc")) if key != "uuid" else (("uuid", way),))
        seen: list[str] = []
        marker = None
        while rows := await server_lists.page(cloud.compute.database, query, limit=2, marker=marker):
            seen += [row.id for row in rows]
            marker = rows[-1].id
        assert sorted(seen) == [uuid(number) for number in range(1, 8)]

    talk(work)


def test_a_deleted_server_is_found_at_its_place(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        await cloud.transact(lambda tx: servers.bury(tx, server, server, host=None))
        database, query = cloud.compute.database, ServerQuery(project_id=ALICE)
        place = await server_lists.find_place(database, query, server.id)
        assert place is not None
        assert await server_lists.deleted_page(database, query, after=place, limit=5) == []
        (found,) = await server_lists.deleted_page(database, query, after=server_lists.NEWEST, limit=5)
        assert found.id == server.id
        assert await server_lists.find_place(database, ServerQuery(project_id="other"), server.id) is None

    talk(work)


def test_a_list_by_what_is_no_fact_is_a_mistake_of_ours(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        query = ServerQuery(equal=(("1 = 1 OR name", "x"),))
        with pytest.raises(ValueError, match="cannot be listed"):
            await server_lists.page(cloud.compute.database, query, limit=1, marker=None)

    talk(work)
