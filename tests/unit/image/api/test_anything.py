"""Whatever is sent, the answer is an answer: never 500, never a hang, and nothing is left behind."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pileus.image.app.audit import audit
from tests.unit.image.api.cloud import ImageCloud
from tests.unit.image.domain import samples

IMAGE = "11111111-2222-3333-4444-555555555555"
WORDS = st.sampled_from(
    ["name", "tags", "visibility", "public", "private", "shared", "owner", "protected", "os_hidden", "disk_format",
     "container_format", "raw", "qcow2", "bare", "min_disk", "status", "active", "id", IMAGE, "locations", "a/b", "",
     "op", "add", "replace", "remove", "path", "/name", "/tags", "/x", "/locations/-", "value", "member", "bob"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=9), inner, max_size=5)
)
OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove"]), "path": WORDS}, optional={"value": JSON}
)
ATTRIBUTES = st.dictionaries(WORDS, SCALARS | st.lists(SCALARS, max_size=3), max_size=6)
BODIES = st.one_of(
    st.none(), JSON, ATTRIBUTES, st.lists(OPERATION, max_size=4), st.binary(max_size=50),
    st.sampled_from(sorted(samples.VALID.values())),
)  # fmt: skip
SEGMENT = st.sampled_from([IMAGE, "nope", "file", "members", "bob", "tags", "t", "actions", "deactivate", "%00", "é"])
PATHS = st.one_of(
    st.sampled_from(["/", "/versions", "/v2/images", "/v2/info/import", "/v2/schemas/image", f"/v2/images/{IMAGE}"]),
    st.lists(SEGMENT, max_size=3).map(lambda parts: "/".join(["/v2/images", IMAGE, *parts])),
    st.lists(SEGMENT, max_size=4).map(lambda parts: "/v2/images/" + "/".join(parts)),
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["limit", "marker", "sort", "sort_key", "sort_dir", "name", "size_min", "created_at", "tag",
                         "visibility", "os_hidden", "member_status", "x", "size"]),
        st.text("abc:,0123456789-+\"'%&=TZ", max_size=12) | WORDS,
    ), max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))  # fmt: skip
MEDIA = st.sampled_from(
    ["application/json", "application/octet-stream", "application/openstack-images-v2.1-json-patch",
     "application/openstack-images-v2.0-json-patch", "", "text/plain"]
)  # fmt: skip
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]), PATHS, QUERIES, BODIES, MEDIA,
    st.sampled_from(["alice:member", "alice:reader", "bob:member", "root:admin", ":member", ""]),
    st.sampled_from(["", "bytes=0-5", "bytes=-", "bytes=9999999-", "x"]),
)  # fmt: skip


async def ask(cloud: ImageCloud, request: tuple[Any, ...]) -> None:
    method, path, query, body, media, token, part = request
    headers = {"content-type": media, "range": part}
    answer = await cloud.call(
        method, f"{path}?{query}".encode().decode("ascii", "replace"), body, token=token, headers=headers
    )
    assert answer.status != 500, request
    assert 200 <= answer.status < 600
    if answer.status >= 400 and method != "HEAD":
        assert answer.json["title"]


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, min_size=5, max_size=25))
def test_any_request_gets_an_answer(requests: list[tuple[Any, ...]]) -> None:
    async def story(directory: Path) -> None:
        async with ImageCloud(directory) as cloud:
            await cloud.create(id=IMAGE, disk_format="raw", container_format="bare", name="x")
            for request in requests:
                await ask(cloud, request)
            assert await audit(cloud.service, read_bytes=True) == []

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(story(Path(directory)))
