"""Staging and importing: after the 202 the image has its bytes, or is queued again and says so."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Runtime
from pileus.image.app.audit import audit
from pileus.image.app.repair import Repairer
from pileus.image.domain.image import Limits
from pileus.image.drivers.memory import MemoryStore
from tests.unit.image.api.cloud import ImageCloud, story
from tests.unit.image.domain import samples

UNKNOWN = "00000000-1111-2222-3333-444455556666"
RAW = {"disk_format": "raw", "container_format": "bare"}
DIRECT = {"method": {"name": "glance-direct"}}
OCTETS = {"content-type": "application/octet-stream"}


def web(uri: Any) -> dict[str, Any]:
    return {"method": {"name": "web-download", "uri": uri}}


async def staged(cloud: ImageCloud, data: bytes, **facts: Any) -> str:
    """An image whose bytes wait for their import."""
    image = await cloud.create(**{**RAW, **facts})
    answer = await cloud.call("PUT", f"/v2/images/{image['id']}/stage", data)
    assert answer.status == 204, answer.body
    return str(image["id"])


async def imported(cloud: ImageCloud, image_id: str, body: Any = DIRECT) -> Any:
    """The image once its import has ended, well or badly."""
    answer = await cloud.call("POST", f"/v2/images/{image_id}/import", body)
    assert answer.status == 202, answer.body
    await cloud.settled()
    return await cloud.show(image_id)


def test_staged_bytes_are_imported(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        data = os.urandom(3_000_000)
        image_id = await staged(cloud, data)
        waiting = await cloud.show(image_id)
        assert (waiting["status"], waiting["size"]) == ("uploading", None)
        assert (await cloud.call("GET", f"/v2/images/{image_id}/file")).status == 204
        image = await imported(cloud, image_id)
        assert (image["status"], image["size"], image["stores"]) == ("active", len(data), "memory")
        assert (await cloud.call("GET", f"/v2/images/{image_id}/file")).body == data
        assert len(await cloud.store.list()) == 1
        assert await audit(cloud.service, read_bytes=True) == []

    story(tmp_path, work)


def test_a_hostile_import_ends_queued_and_says_so(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await staged(cloud, samples.qcow2(backing=512), disk_format="qcow2")
        image = await imported(cloud, image_id)
        assert (image["status"], image["os_glance_failed_import"]) == ("queued", "memory")
        assert await cloud.store.list() == []
        again = await cloud.call("PUT", f"/v2/images/{image_id}/stage", samples.qcow2())
        assert again.status == 204
        assert (await imported(cloud, image_id))["status"] == "active"
        assert await audit(cloud.service) == []

    story(tmp_path, work)


def test_what_was_staged_goes_with_its_image(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await staged(cloud, b"x" * 1000)
        assert await audit(cloud.service) == []
        assert (await cloud.call("DELETE", f"/v2/images/{image_id}")).status == 204
        assert await cloud.store.list() == []

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("state", "body", "status", "words"),
    [
        ("queued", DIRECT, 409, "needs to be staged"),
        ("active", DIRECT, 409, "status active cannot be target"),
        ("active", web("https://mirror.example/x"), 409, "status active cannot be target"),
        ("staged", web("https://mirror.example/x"), 409, "'queued' state"),
        ("staged", {"method": {"name": "glance-direct"}, "stores": ["elsewhere"]}, 409, "elsewhere"),
        ("queued", {"method": {"name": "copy-image"}}, 400, "Unknown import method name 'copy-image'"),
        ("queued", {"method": {"name": "glance-download"}}, 400, "Unknown import method name"),
        ("queued", {"method": {}}, 400, "name"),
        ("queued", {"method": "web-download"}, 400, "method"),
        ("queued", {}, 400, "method"),
        ("queued", [], 400, ""),
        ("queued", {"method": {"name": "web-download"}}, 400, "uri"),
        ("queued", web(""), 400, "uri"),
        ("queued", web(5), 400, "uri"),
        ("queued", web("file:///etc/passwd"), 400, "does not pass filtering"),
        ("queued", web("ftp://mirror.example/x"), 400, "does not pass filtering"),
        ("queued", web("http://mirror.example:22/x"), 400, "does not pass filtering"),
        ("queued", web("http://u:p@mirror.example/x"), 400, "does not pass filtering"),
        ("unnamed", web("https://mirror.example/x"), 409, "'container_format' needs to be set before import"),
    ],
)
def test_an_import_that_cannot_begin_is_refused(tmp_path: Path, state: str, body: Any, status: int, words: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        if state == "active":
            image_id = await cloud.active()
        elif state == "staged":
            image_id = await staged(cloud, b"x")
        else:
            image_id = (await cloud.create(**(RAW if state == "queued" else {})))["id"]
        before = await cloud.show(image_id)
        answer = await cloud.call("POST", f"/v2/images/{image_id}/import", body)
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert await cloud.show(image_id) == before

    story(tmp_path, work)


def test_nobody_stages_or_imports_for_others(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        mine = (await cloud.create(**RAW, visibility="community"))["id"]
        for token, status in (("bob:member", 403), ("alice:reader", 403), ("", 401)):
            stage = await cloud.call("PUT", f"/v2/images/{mine}/stage", b"x", token=token)
            begin = await cloud.call("POST", f"/v2/images/{mine}/import", DIRECT, token=token)
            assert (stage.status, begin.status) == (status, status)
        for image_id in (UNKNOWN, "nope"):
            assert (await cloud.call("PUT", f"/v2/images/{image_id}/stage", b"x")).status == 404
            assert (await cloud.call("POST", f"/v2/images/{image_id}/import", DIRECT)).status == 404

    story(tmp_path, work)


def test_staging_has_the_limits_of_an_upload(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(**RAW)
        place = f"/v2/images/{image['id']}/stage"
        assert (await cloud.call("PUT", place, bytes(1001))).status == 413
        assert (await cloud.call("PUT", place, b"x", headers={"content-type": "text/plain"})).status == 415
        assert (await cloud.show(image["id"]))["status"] == "queued"
        assert (await cloud.call("PUT", place, bytes(1000))).status == 204
        assert (await cloud.call("PUT", place, bytes(1000))).status == 409
        assert len(await cloud.store.list()) == 1

    story(tmp_path, work, limits=Limits(size_bytes=1000))


def with_a_mirror(
    tmp_path: Path, answer: bytes, work: Callable[[ImageCloud, str], Awaitable[None]], *, trusted: bool = True
) -> None:
    """Run `work(cloud, uri)` beside a web server on loopback that answers everything alike."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, ImageCloud(tmp_path, import_hosts=(place,) if trusted else ()) as cloud:
            await work(cloud, f"http://{place}/disk.img")

    asyncio.run(run())


def test_an_image_is_fetched_from_the_web(tmp_path: Path) -> None:
    data = os.urandom(2_500_000)

    async def work(cloud: ImageCloud, uri: str) -> None:
        image_id = (await cloud.create(**RAW))["id"]
        image = await imported(cloud, image_id, web(uri))
        assert (image["status"], image["size"]) == ("active", len(data))
        assert (await cloud.call("GET", f"/v2/images/{image_id}/file")).body == data
        assert "import-methods" in (await cloud.call("GET", "/v2/info/import")).json

    with_a_mirror(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data, work)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n\r\n" + samples.qcow2(),
    ],
)
def test_a_bad_fetch_ends_queued_and_leaves_nothing(tmp_path: Path, answer: bytes) -> None:
    async def work(cloud: ImageCloud, uri: str) -> None:
        image_id = (await cloud.create(**RAW))["id"]
        image = await imported(cloud, image_id, web(uri))
        assert (image["status"], image["os_glance_failed_import"]) == ("queued", "memory")
        assert await cloud.store.list() == []
        assert await audit(cloud.service) == []

    with_a_mirror(tmp_path, answer, work)


def test_nobody_is_led_to_what_only_we_reach(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud, uri: str) -> None:
        image_id = (await cloud.create(**RAW))["id"]
        answer = await cloud.call("POST", f"/v2/images/{image_id}/import", web(uri))
        assert (answer.status, "port" in answer.text) == (400, True)
        for host in ("localhost", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "169.254.169.254"):
            image = await imported(cloud, image_id, web(f"http://{host}/"))
            assert image["status"] == "queued", host

    with_a_mirror(tmp_path, b"HTTP/1.1 200 OK\r\n\r\nsecret", work, trusted=False)


class SlowToRead(MemoryStore):
    """Gives bytes only once it is told to."""

    def __init__(self, runtime: Runtime):
        super().__init__(runtime)
        self.goes_on = asyncio.Event()

    async def open(self, location: str, first: int, count: int) -> AsyncIterator[bytes]:
        await self.goes_on.wait()
        return await super().open(location, first, count)


def test_an_image_deleted_while_it_is_imported_leaves_nothing(tmp_path: Path, runtime: Runtime) -> None:
    store = SlowToRead(runtime)

    async def work(cloud: ImageCloud) -> None:
        image_id = await staged(cloud, os.urandom(2_000_000))
        assert (await cloud.call("POST", f"/v2/images/{image_id}/import", DIRECT)).status == 202
        assert (await cloud.show(image_id))["status"] == "importing"
        assert (await cloud.call("DELETE", f"/v2/images/{image_id}")).status == 204
        store.goes_on.set()
        await cloud.settled()
        assert await cloud.store.list() == []
        assert await audit(cloud.service) == []

    story(tmp_path, work, store=store)


def test_an_import_is_not_begun_twice(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await staged(cloud, b"x" * 1000)
        answers = await asyncio.gather(*(cloud.call("POST", f"/v2/images/{image_id}/import", DIRECT) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [202] + [409] * 7

    story(tmp_path, work)


async def tasks(cloud: ImageCloud, image_id: str, token: str = "alice:member") -> Any:
    answer = await cloud.call("GET", f"/v2/images/{image_id}/tasks", token=token)
    assert answer.status == 200, answer.body
    return answer.json["tasks"]


def test_every_import_is_told_with_its_outcome(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await staged(cloud, samples.qcow2(backing=512), disk_format="qcow2")
        assert await tasks(cloud, image_id) == []
        await imported(cloud, image_id)
        assert (await cloud.call("PUT", f"/v2/images/{image_id}/stage", samples.qcow2())).status == 204
        begin = await cloud.call("POST", f"/v2/images/{image_id}/import", DIRECT)
        await cloud.settled()
        failed, done = await tasks(cloud, image_id)
        assert (failed["status"], failed["message"]) == ("failure", "The image is refused: it has a backing file.")
        assert (done["status"], done["message"], done["result"]) == ("success", "", {"image_id": image_id})
        assert done["request_id"] == begin.headers["x-openstack-request-id"]
        assert done["input"]["import_req"] == DIRECT
        assert (done["owner"], done["user_id"], done["type"]) == ("alice", "user-alice:member", "api_image_import")
        assert (await cloud.call("GET", f"/v2/images/{image_id}/tasks", token="bob:member")).status == 404

    story(tmp_path, work)


def test_the_key_of_a_url_is_shown_to_nobody(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud, uri: str) -> None:
        image_id = (await cloud.create(**RAW))["id"]
        await imported(cloud, image_id, web(f"{uri}?signature=secret"))
        (task,) = await tasks(cloud, image_id)
        assert task["status"] == "success"
        assert task["input"]["import_req"]["method"] == {"name": "web-download", "uri": uri}

    with_a_mirror(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1000), work)


def test_what_is_known_of_imports_goes_with_the_image(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        assert cloud.service.imports is not None
        image_id = await staged(cloud, b"x" * 1000)
        await imported(cloud, image_id)
        assert len(await cloud.service.imports.journal.of_subject(image_id)) == 1
        await cloud.call("DELETE", f"/v2/images/{image_id}")
        assert await cloud.service.imports.journal.of_subject(image_id) == []
        again = await staged(cloud, os.urandom(2_000_000))
        await cloud.call("POST", f"/v2/images/{again}/import", DIRECT)
        await cloud.call("DELETE", f"/v2/images/{again}")
        await cloud.settled()
        await Repairer(cloud.service).repair()
        assert await cloud.service.imports.journal.of_subject(again) == []

    story(tmp_path, work)
