"""What the service says of itself."""

from pathlib import Path

import pytest

from pileus.foundation.http.schema import overlaps
from pileus.foundation.policy import Policy
from pileus.image.api import image_schema
from pileus.image.api.image_view import image_view
from pileus.image.api.policy import RULES
from pileus.image.api.routes import ROUTES
from pileus.image.domain.image import Image
from tests.unit.image.api.cloud import ImageCloud, story


@pytest.mark.parametrize(("path", "status"), [("/", 300), ("/versions", 200)])
def test_versions_need_no_token(tmp_path: Path, path: str, status: int) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("GET", path, token="")
        assert answer.status == status
        versions = answer.json["versions"]
        assert versions[0] == {
            "id": "v2.17", "status": "CURRENT", "links": [{"rel": "self", "href": "http://cloud.example:8800/image/v2/"}],
        }  # fmt: skip
        assert {version["status"] for version in versions[1:]} == {"SUPPORTED"}
        assert len({version["id"] for version in versions}) == len(versions) == 17

    story(tmp_path, work)


@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
def test_each_schema_is_shown(tmp_path: Path, name: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("GET", f"/v2/schemas/{name}")
        assert answer.status == 200
        assert answer.json["name"] == name
        assert (await cloud.call("GET", f"/v2/schemas/{name}", token="")).status == 401

    story(tmp_path, work)


def test_the_store_and_the_ways_to_import_are_shown(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        assert (await cloud.call("GET", "/v2/info/stores")).json == {"stores": [{"id": "memory", "default": "true"}]}
        methods = (await cloud.call("GET", "/v2/info/import")).json["import-methods"]
        assert methods["value"] == list(cloud.settings.import_methods)
        assert methods["type"] == "array"

    story(tmp_path, work)


def test_the_schema_knows_every_attribute_of_the_view() -> None:
    image = Image(id="i", owner="p", created_at=1, updated_at=1, location="l")
    assert set(image_view(image, "file")) <= set(image_schema.IMAGE_PROPERTIES)


def test_what_can_be_said_of_an_image_is_in_the_schema_it_shows() -> None:
    declared = {field.name for field in image_schema.CREATE.root.fields}
    assert set(image_schema.IMAGE_PROPERTIES) <= declared
    assert not overlaps(image_schema.CREATE)


def test_every_rule_that_a_route_asks_for_exists() -> None:
    Policy(RULES).require({route.policy for route in ROUTES if route.policy} | {"publicize_image", "communitize_image"})


def test_discovery_follows_the_address_of_the_request(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        headers = {"x-forwarded-proto": "https", "x-forwarded-host": "cloud.example.org"}
        answer = await cloud.call("GET", "/", token="", headers=headers)
        assert answer.json["versions"][0]["links"][0]["href"] == "https://cloud.example.org/image/v2/"

    story(tmp_path, work)
