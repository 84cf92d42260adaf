"""Bytes on the wire: up, down, in part, refused."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.app import Disconnected
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import InProcess, Peer
from pileus.image.domain.image import Limits
from pileus.image.drivers.memory import MemoryStore
from tests.own_token import FixedToken
from tests.unit.image.api.cloud import ImageCloud, story
from tests.unit.image.domain import samples

MIB = 1 << 20
DATA = bytes(range(256)) * 16


def test_bytes_go_up_and_down(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(disk_format="raw", container_format="bare")
        place = f"/v2/images/{image['id']}/file"
        before = await cloud.call("GET", place)
        assert (before.status, before.body) == (204, b"")
        up = await cloud.call("PUT", place, DATA)
        assert (up.status, up.body) == (204, b"")
        down = await cloud.call("GET", place)
        assert (down.status, down.body) == (200, DATA)
        assert down.headers["content-length"] == "4096"
        assert down.headers["content-type"] == "application/octet-stream"
        assert down.headers["accept-ranges"] == "bytes"
        after = await cloud.show(image["id"])
        assert down.headers["content-md5"] == after["checksum"]
        assert (after["status"], after["size"], after["virtual_size"], after["stores"]) == (
            "active",
            4096,
            4096,
            "memory",
        )
        assert after["os_hash_algo"] == "sha512"
        again = await cloud.call("PUT", place, DATA)
        assert (again.status, again.text) == (409, "Image status transition from active to saving is not allowed")

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("header", "status", "found", "shown"),
    [
        ("bytes=0-9", 206, DATA[:10], "bytes 0-9/4096"),
        ("bytes=4000-9999", 206, DATA[4000:], "bytes 4000-4095/4096"),
        ("bytes=-5", 206, DATA[-5:], "bytes 4091-4095/4096"),
        ("bytes=0-4095", 200, DATA, None),
        ("bytes=0-1,3-4", 200, DATA, None),
        ("nonsense", 200, DATA, None),
    ],
)
def test_a_part_is_fetched(tmp_path: Path, header: str, status: int, found: bytes, shown: str | None) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(DATA)
        answer = await cloud.call("GET", f"/v2/images/{image_id}/file", headers={"range": header})
        assert (answer.status, answer.body) == (status, found)
        assert answer.headers.get("content-range") == shown
        assert answer.headers["content-length"] == str(len(found))
        assert ("content-md5" in answer.headers) is (status == 200)

    story(tmp_path, work)


def test_a_part_beyond_the_end_is_refused(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(DATA)
        answer = await cloud.call("GET", f"/v2/images/{image_id}/file", headers={"range": "bytes=4096-"})
        assert answer.status == 416
        assert answer.headers["content-range"] == "bytes */4096"

    story(tmp_path, work)


def test_an_empty_image_is_active_and_fetched_as_nothing(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(b"", disk_format="qcow2")
        answer = await cloud.call("GET", f"/v2/images/{image_id}/file")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("facts", "media", "data", "status", "words"),
    [
        ({}, "application/octet-stream", b"x", 400, "Properties disk_format, container_format must be set"),
        ({"disk_format": "raw"}, "application/octet-stream", b"x", 400, "Property container_format must be set"),
        ({"disk_format": "raw", "container_format": "bare"}, "application/json", b"x", 415, "media type"),
        ({"disk_format": "raw", "container_format": "bare"}, "", b"x", 415, "media type"),
        (
            {"disk_format": "raw", "container_format": "bare"}, "application/octet-stream", samples.qcow2(), 415,
            "Image disk_format raw does not match stream data qcow2",
        ),
        (
            {"disk_format": "qcow2", "container_format": "bare"}, "application/octet-stream",
            samples.qcow2(extensions=samples.extension(0x44415441, b"/etc/passwd")), 415, "external data file",
        ),
        (
            {"disk_format": "vmdk", "container_format": "bare"}, "application/octet-stream",
            samples.DESCRIPTOR.replace(b"monolithicSparse", b"monolithicFlat"), 415, "lies in other files",
        ),
        (
            {"disk_format": "qcow2", "container_format": "bare"}, "application/octet-stream",
            samples.qcow2(virtual_size=1 << 62), 415, "at most",
        ),
    ],
)  # fmt: skip
def test_an_upload_is_refused_and_the_image_waits_as_before(
    tmp_path: Path, facts: Any, media: str, data: bytes, status: int, words: str
) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(**facts)
        place = f"/v2/images/{image['id']}"
        answer = await cloud.call("PUT", f"{place}/file", data, headers={"content-type": media})
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert "/etc" not in answer.text
        after = await cloud.show(image["id"])
        assert {**after, "updated_at": ""} == {**image, "updated_at": ""}
        assert await cloud.store.list() == []

    story(tmp_path, work)


def test_too_many_bytes_are_413(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(disk_format="raw", container_format="bare")
        announced = await cloud.upload(image["id"], bytes(MIB + 1))
        assert announced.status == 413
        assert f"at most {MIB} bytes" in announced.text

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield bytes(100_000)

        headers = {"content-type": "application/octet-stream"}
        place = f"/v2/images/{image['id']}/file"
        assert (await cloud.call("PUT", place, chunks=chunks(), headers=headers)).status == 413
        assert (await cloud.show(image["id"]))["status"] == "queued"
        assert await cloud.store.list() == []

    story(tmp_path, work, limits=Limits(size_bytes=MIB))


def test_a_full_store_is_413_and_names_the_mend(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        assert isinstance(cloud.store, MemoryStore)
        cloud.store.capacity = 1000
        image = await cloud.create(disk_format="raw", container_format="bare")
        answer = await cloud.upload(image["id"], bytes(1001))
        assert answer.status == 413
        assert "free space" in answer.text
        assert (await cloud.show(image["id"]))["status"] == "queued"

    story(tmp_path, work)


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(disk_format="raw", container_format="bare")

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(2 * MIB)
            raise Disconnected()

        headers = {"content-type": "application/octet-stream"}
        answer = await cloud.call("PUT", f"/v2/images/{image['id']}/file", chunks=chunks(), headers=headers)
        assert answer.status == 400
        assert (await cloud.show(image["id"]))["status"] == "queued"
        assert await cloud.store.list() == []

    story(tmp_path, work)


def test_another_part_of_the_cloud_streams_an_image_without_a_socket(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        data = os.urandom(5 * MIB)
        image_id = await cloud.active(data)
        peer = Peer("image", InProcess(cloud.app, cloud.runtime), cloud.runtime)
        async with peer.stream(
            "GET", f"/v2/images/{image_id}/file", authority=Authority(FixedToken("alice:member"))
        ) as (status, headers, chunks):
            assert (status, headers["content-length"]) == (200, str(len(data)))
            assert b"".join([chunk async for chunk in chunks]) == data

    story(tmp_path, work)


def test_missing_bytes_are_503_and_tell_no_path(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(DATA)
        assert isinstance(cloud.store, MemoryStore)
        cloud.store.whole.clear()
        answer = await cloud.call("GET", f"/v2/images/{image_id}/file")
        assert (answer.status, answer.text) == (
            503,
            f"The data of image {image_id} cannot be read from the image store; upload the image again.",
        )

    story(tmp_path, work)
