"""Images on the wire: shapes, refusals, and who may do what."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from pileus.image.domain.image import Limits
from tests.unit.image.api.cloud import ImageCloud, story

UNKNOWN = "00000000-1111-2222-3333-444455556666"
TAIL = "<br /><br />\n\n\n"
# As the reference implementation answered, in its order.
KEYS = [
    "name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum",
    "protected", "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value", "id",
    "created_at", "updated_at", "tags", "self", "file", "schema",
]  # fmt: skip


def test_a_new_image_is_shown_as_users_know_it(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        asked = {
            "name": "ref-image",
            "disk_format": "raw",
            "container_format": "bare",
            "min_ram": 1,
            "os_distro": "ref",
        }
        answer = await cloud.call("POST", "/v2/images", asked)
        image = answer.json
        assert answer.status == 201
        assert list(image) == ["os_distro", *KEYS]
        assert {name: image[name] for name in asked} == asked
        assert (image["status"], image["visibility"], image["owner"]) == ("queued", "shared", "alice")
        assert image["size"] is image["virtual_size"] is image["checksum"] is image["os_hash_value"] is None
        assert (image["protected"], image["os_hidden"], image["min_disk"], image["tags"]) == (False, False, 0, [])
        assert image["file"] == f"/v2/images/{image['id']}/file"
        assert answer.headers["location"] == f"http://cloud.example:8800/image/v2/images/{image['id']}"
        assert answer.headers["openstack-image-store-ids"] == "memory"
        assert answer.headers["x-openstack-request-id"].startswith("req-")
        assert await cloud.show(image["id"]) == image

    story(tmp_path, work)


def test_an_image_may_say_everything_of_itself(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        asked = {
            "id": UNKNOWN, "name": "é\n'\"$(x)", "visibility": "private", "protected": True, "os_hidden": True,
            "container_format": "ova", "disk_format": "vmdk", "tags": ["a", "b", "a"], "min_ram": 512, "min_disk": 3,
            "owner": "alice", "hw_machine_type": "q35",
        }  # fmt: skip
        image = await cloud.create(**asked)
        assert {name: image[name] for name in asked} == {**asked, "tags": ["a", "b"]}

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"disk_format": "nope"}, 400, "disk_format"),
        ({"container_format": "nope"}, 400, "container_format"),
        ({"name": "x" * 256}, 400, "name"),
        ({"name": 5}, 400, "name"),
        ({"name": "a\0b"}, 400, "name"),
        ({"id": "nope"}, 400, "id"),
        ({"visibility": "secret"}, 400, "visibility"),
        ({"protected": "yes"}, 400, "protected"),
        ({"os_hidden": 1}, 400, "os_hidden"),
        ({"min_ram": "1"}, 400, "min_ram"),
        ({"min_disk": -1}, 400, "min_disk"),
        ({"min_disk": 2**40}, 400, "min_disk"),
        ({"tags": "x"}, 400, "tags"),
        ({"tags": ["x" * 256]}, 400, "is too long"),
        ({"os_distro": 5}, 400, "os_distro"),
        ({"os_distro": None}, 400, "os_distro"),
        ({"os_distro": {"a": "b"}}, 400, "os_distro"),
        ({"x" * 256: "1"}, 400, "255 characters"),
        ([], 400, "is not of type 'object'"),
        ("text", 400, "is not of type 'object'"),
        (b"{", 415, ""),
        ({"status": "active"}, 403, "'status' is read-only"),
        ({"size": 5}, 403, "'size' is read-only"),
        ({"checksum": "x"}, 403, "'checksum' is read-only"),
        ({"created_at": "2020"}, 403, "'created_at' is read-only"),
        ({"self": "/v2/images/x"}, 403, "'self' is read-only"),
        ({"stores": "file"}, 403, "'stores' is read-only"),
        ({"direct_url": "file:///etc/passwd"}, 403, "'direct_url' is read-only"),
        ({"location": "file:///etc/passwd"}, 403, "'location' is reserved"),
        ({"locations": [{"url": "file:///etc/passwd", "metadata": {}}]}, 403, "'locations' is reserved"),
        ({"deleted": "1"}, 403, "'deleted' is reserved"),
        ({"os_glance_import_task": "x"}, 403, "'os_glance_import_task' is reserved"),
        ({"visibility": "public"}, 403, "publicize_image"),
        ({"owner": "bob"}, 403, "You are not permitted to create images owned by 'bob'"),
    ],
)
def test_a_bad_image_is_refused_and_the_field_named(tmp_path: Path, body: Any, status: int, words: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("POST", "/v2/images", body)
        assert answer.status == status
        assert words in answer.text
        assert (await cloud.call("GET", "/v2/images?visibility=all")).json["images"] == []

    story(tmp_path, work)


def test_an_id_is_used_once_and_never_again(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        await cloud.create(id=UNKNOWN)
        again = await cloud.call("POST", "/v2/images", {"id": UNKNOWN.upper()}, token="bob:member")
        assert (again.status, again.text) == (409, f"Image ID {UNKNOWN} already exists!")
        assert (await cloud.call("DELETE", f"/v2/images/{UNKNOWN}")).status == 204
        assert (await cloud.call("POST", "/v2/images", {"id": UNKNOWN}, token="bob:member")).status == 409
        assert (await cloud.call("POST", "/v2/images", {"id": UNKNOWN})).status == 409

    story(tmp_path, work)


def test_an_administrator_publishes_and_creates_for_others(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(token="root:admin", visibility="public", owner="bob")
        assert (image["visibility"], image["owner"]) == ("public", "bob")

    story(tmp_path, work)


@pytest.mark.parametrize("limits", [Limits(properties=2), Limits(tags=2)])
def test_more_than_the_limit_is_413(tmp_path: Path, limits: Limits) -> None:
    async def work(cloud: ImageCloud) -> None:
        many = {"a": "1", "b": "2", "c": "3", "tags": ["a", "b", "c"]}
        assert (await cloud.call("POST", "/v2/images", many)).status == 413
        image = await cloud.create(a="1", b="2", tags=["a", "b"])
        patch = [
            {"op": "add", "path": "/c", "value": "3"},
            {"op": "replace", "path": "/tags", "value": ["a", "b", "c"]},
        ]
        assert (await cloud.patch(image["id"], *patch)).status == 413
        assert (await cloud.show(image["id"])) == image

    story(tmp_path, work, limits=limits)


def test_a_project_has_only_so_many_images(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        await cloud.create()
        first = await cloud.create()
        answer = await cloud.call("POST", "/v2/images", {})
        assert answer.status == 413
        assert (await cloud.call("POST", "/v2/images", {}, token="bob:member")).status == 201
        await cloud.call("DELETE", f"/v2/images/{first['id']}")
        assert (await cloud.call("POST", "/v2/images", {})).status == 201

    story(tmp_path, work, limits=Limits(project_images=2))


@pytest.mark.parametrize("old", [False, True])
def test_a_patch_changes_in_either_dialect(tmp_path: Path, old: bool) -> None:
    def operation(op: str, path: str, *value: Any) -> dict[str, Any]:
        named = {op: path} if old else {"op": op, "path": path}
        return {**named, "value": value[0]} if value else named

    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(name="x", os_distro="ref")
        answer = await cloud.patch(
            image["id"],
            operation("replace", "/name", "y"),
            operation("add", "/a~1b~0c", "v"),
            operation("remove", "/os_distro"),
            operation("replace", "/tags", ["t"]),
            operation("replace", "/min_ram", 5),
            old=old,
        )
        assert answer.status == 200
        after = answer.json
        assert (after["name"], after["a/b~c"], after["tags"], after["min_ram"]) == ("y", "v", ["t"], 5)
        assert "os_distro" not in after
        assert await cloud.show(image["id"]) == after
        adding = await cloud.patch(image["id"], operation("add", "/name", "z"), old=old)
        assert adding.status == (409 if old else 200)

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("operation", "status", "words"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403, "'status' is read-only"),
        ({"op": "replace", "path": "/id", "value": "x"}, 403, "'id' is read-only"),
        ({"op": "replace", "path": "/size", "value": 1}, 403, "'size' is read-only"),
        ({"op": "remove", "path": "/checksum"}, 403, "'checksum' is read-only"),
        ({"op": "add", "path": "/deleted", "value": "1"}, 403, "'deleted' is reserved"),
        ({"op": "add", "path": "/os_glance_x", "value": "1"}, 403, "reserved"),
        (
            {"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd", "metadata": {}}},
            403,
            "locations",
        ),
        ({"op": "replace", "path": "/locations", "value": []}, 403, "locations"),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403, "publicize_image"),
        ({"op": "replace", "path": "/owner", "value": "bob"}, 403, "Owner can't be updated by non admin."),
        ({"op": "remove", "path": "/name"}, 403, "Property name may not be removed."),
        ({"op": "replace", "path": "/nope", "value": "1"}, 409, "Property nope does not exist."),
        ({"op": "remove", "path": "/nope"}, 409, "Property nope does not exist."),
        ({"op": "replace", "path": "/min_ram", "value": "1"}, 400, "min_ram"),
        ({"op": "replace", "path": "/disk_format", "value": "nope"}, 400, "disk_format"),
        ({"op": "add", "path": "/os_distro", "value": 5}, 400, "os_distro"),
        ({"op": "add", "path": "/name"}, 400, 'requires a member named "value"'),
        ({"op": "move", "path": "/name", "from": "/x"}, 400, "Invalid operation: `move`"),
        ({"path": "/name"}, 400, "Unable to find `op`"),
        ({"op": "add"}, 400, "Unable to find 'path'"),
        ({"op": "add", "path": 5, "value": 1}, 400, "Unable to find 'path'"),
        ({"op": ["add"], "path": "/name"}, 400, "Invalid operation"),
        ({"op": "add", "path": "name", "value": "x"}, 400, 'does not start with "/"'),
        ({"op": "add", "path": "//name", "value": "x"}, 400, "adjacent"),
        ({"op": "add", "path": "/a//b", "value": "x"}, 400, 'adjacent "/"'),
        ({"op": "add", "path": "/name/", "value": "x"}, 400, "end with"),
        ({"op": "add", "path": "/a~2b", "value": "x"}, 400, "escape sequence"),
        ({"op": "add", "path": "/a~", "value": "x"}, 400, "escape sequence"),
        ({"op": "add", "path": "/", "value": "x"}, 400, "valid token"),
        ({"op": "add", "path": "/name/x", "value": "x"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/tags/-", "value": "x"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/" + "x" * 256, "value": "x"}, 400, "255 characters"),
        ("text", 400, "is not of type 'object'"),
    ],
)
def test_a_bad_patch_is_refused_whole(tmp_path: Path, operation: Any, status: int, words: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(name="x")
        answer = await cloud.patch(image["id"], {"op": "add", "path": "/first", "value": "1"}, operation)
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert await cloud.show(image["id"]) == image

    story(tmp_path, work)


@pytest.mark.parametrize("media", ["application/json", "", "text/plain", "application/json-patch+json"])
def test_a_patch_needs_its_media_type(tmp_path: Path, media: str) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create()
        answer = await cloud.call("PATCH", f"/v2/images/{image['id']}", [], headers={"content-type": media})
        assert answer.status == 415
        assert "openstack-images-v2.1-json-patch" in answer.headers["accept-patch"]

    story(tmp_path, work)


def test_formats_may_change_until_bytes_came(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(disk_format="qcow2", container_format="bare")
        raw = {"op": "replace", "path": "/disk_format", "value": "raw"}
        assert (await cloud.patch(image["id"], raw)).json["disk_format"] == "raw"
        await cloud.upload(image["id"], b"1")
        answer = await cloud.patch(image["id"], {**raw, "value": "qcow2"})
        assert (answer.status, answer.text) == (403, "Attribute disk_format can be only replaced for a queued image.")

    story(tmp_path, work)


def test_a_protected_image_stays(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active(protected=True)
        answer = await cloud.call("DELETE", f"/v2/images/{image_id}")
        assert (answer.status, answer.text) == (403, f"Image {image_id} is protected and cannot be deleted.")
        await cloud.patch(image_id, {"op": "replace", "path": "/protected", "value": False})
        assert (await cloud.call("DELETE", f"/v2/images/{image_id}")).status == 204
        assert (await cloud.call("GET", f"/v2/images/{image_id}")).status == 404
        assert (await cloud.call("DELETE", f"/v2/images/{image_id}")).status == 404
        assert await cloud.store.list() == []

    story(tmp_path, work)


def test_tags_come_and_go(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(tags=["a"])
        place = f"/v2/images/{image['id']}/tags"
        for tag in ("b", "b", "c d"):
            assert (await cloud.call("PUT", f"{place}/{tag}")).status == 204
        assert (await cloud.show(image["id"]))["tags"] == ["a", "b", "c d"]
        assert (await cloud.call("DELETE", f"{place}/a")).status == 204
        assert (await cloud.call("DELETE", f"{place}/a")).status == 404
        assert (await cloud.call("PUT", f"{place}/{'x' * 256}")).status == 400
        assert (await cloud.show(image["id"]))["tags"] == ["b", "c d"]

    story(tmp_path, work)


def test_more_tags_than_the_limit_are_413(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(tags=["a"])
        assert (await cloud.call("PUT", f"/v2/images/{image['id']}/tags/b")).status == 413

    story(tmp_path, work, limits=Limits(tags=1))


def test_a_locked_image_keeps_its_bytes_to_administrators(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        image_id = await cloud.active()
        place = f"/v2/images/{image_id}"
        assert (await cloud.call("POST", f"{place}/actions/deactivate")).status == 204
        assert (await cloud.show(image_id))["status"] == "deactivated"
        refused = await cloud.call("GET", f"{place}/file")
        assert refused.status == 403
        assert "deactivated" in refused.text
        assert (await cloud.call("GET", f"{place}/file", token="root:admin")).status == 200
        assert (await cloud.call("POST", f"{place}/actions/reactivate")).status == 204
        assert (await cloud.call("GET", f"{place}/file")).status == 200
        queued = await cloud.create()
        answer = await cloud.call("POST", f"/v2/images/{queued['id']}/actions/deactivate")
        assert (answer.status, answer.text) == (403, "Not allowed to deactivate image in status 'queued'")

    story(tmp_path, work)


OPERATIONS = [
    ("GET", "", None, "application/json"),
    ("PATCH", "", [{"op": "replace", "path": "/name", "value": "x"}], "application/openstack-images-v2.1-json-patch"),
    ("DELETE", "", None, ""),
    ("GET", "/file", None, ""),
    ("PUT", "/file", b"x", "application/octet-stream"),
    ("POST", "/actions/deactivate", None, ""),
    ("POST", "/actions/reactivate", None, ""),
    ("PUT", "/tags/t", None, ""),
    ("DELETE", "/tags/t", None, ""),
    ("GET", "/members", None, ""),
    ("POST", "/members", {"member": "carol"}, "application/json"),
    ("GET", "/members/carol", None, ""),
    ("PUT", "/members/carol", {"status": "accepted"}, "application/json"),
    ("DELETE", "/members/carol", None, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "media"), OPERATIONS)
def test_what_is_not_there_and_what_is_not_yours_look_alike(
    tmp_path: Path, method: str, path: str, body: Any, media: str
) -> None:
    async def work(cloud: ImageCloud) -> None:
        mine = await cloud.active(visibility="private")
        for image_id, token in ((UNKNOWN, "alice:member"), (mine, "bob:member"), ("nope", "alice:member")):
            place = f"/v2/images/{image_id}{path}"
            answer = await cloud.call(method, place, body, token=token, headers={"content-type": media})
            assert (answer.status, answer.text) == (404, f"No image found with ID {image_id}")

    story(tmp_path, work)


@pytest.mark.parametrize(("method", "path", "body", "media"), OPERATIONS)
@pytest.mark.parametrize("token", ["", "nonsense"])
def test_nobody_enters_without_a_token(
    tmp_path: Path, method: str, path: str, body: Any, media: str, token: str
) -> None:
    async def work(cloud: ImageCloud) -> None:
        mine = await cloud.active(visibility="public", token="root:admin")
        headers = {"content-type": media, "x-roles": "admin", "x-project-id": "root", "x-is-admin-project": "True"}
        answer = await cloud.call(method, f"/v2/images/{mine}{path}", body, token=token, headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.example:8800/identity/v3"'
        assert answer.json["code"] == "401 Unauthorized"

    story(tmp_path, work)


# Who may: the owner's member, the owner's reader, another project's member; on a public image of the first.
ON_A_PUBLIC_IMAGE = {
    ("GET", ""): (200, 200, 200),
    ("PATCH", ""): (200, 403, 403),
    ("DELETE", ""): (204, 403, 403),
    ("GET", "/file"): (200, 403, 200),
    ("PUT", "/file"): (409, 403, 403),
    ("POST", "/actions/deactivate"): (204, 403, 403),
    ("POST", "/actions/reactivate"): (204, 403, 403),
    ("PUT", "/tags/t"): (204, 403, 403),
    ("DELETE", "/tags/t"): (404, 403, 403),
    ("GET", "/members"): (403, 403, 403),
    ("POST", "/members"): (403, 403, 403),
    ("GET", "/members/carol"): (404, 404, 404),
    ("PUT", "/members/carol"): (403, 403, 403),
    ("DELETE", "/members/carol"): (403, 403, 403),
}


@pytest.mark.parametrize(("method", "path", "body", "media"), OPERATIONS)
def test_a_public_image_is_everybodys_to_use_and_its_owners_to_change(
    tmp_path: Path, method: str, path: str, body: Any, media: str
) -> None:
    async def work(cloud: ImageCloud) -> None:
        for token, status in zip(
            ("alice:member", "alice:reader", "bob:member"), ON_A_PUBLIC_IMAGE[(method, path)], strict=True
        ):
            image_id = await cloud.active(token="root:admin", owner="alice", visibility="public")
            place = f"/v2/images/{image_id}{path}"
            answer = await cloud.call(method, place, body, token=token, headers={"content-type": media})
            assert answer.status == status, (token, answer.body)

    story(tmp_path, work)


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("POST", "/v2/images", {}, token="alice:reader")
        assert (answer.status, answer.text) == (403, "You are not authorized to complete add_image action.")

    story(tmp_path, work)


@pytest.mark.parametrize(
    ("visibility", "status"), [("community", 200), ("shared", 200), ("private", 200), ("public", 403)]
)
def test_an_owner_chooses_who_sees(tmp_path: Path, visibility: str, status: int) -> None:
    async def work(cloud: ImageCloud) -> None:
        image = await cloud.create(visibility="private")
        operation = {"op": "replace", "path": "/visibility", "value": visibility}
        assert (await cloud.patch(image["id"], operation)).status == status
        assert (await cloud.patch(image["id"], operation, token="root:admin")).status == 200

    story(tmp_path, work)


def test_errors_are_pages_for_who_asks_for_no_json(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("GET", "/v2/images/<script>", headers={"accept": "*/*"})
        assert answer.status == 404
        assert answer.headers["content-type"] == "text/html; charset=UTF-8"
        assert b"<title>404 Not Found</title>" in answer.body
        assert b"&lt;script&gt;" in answer.body
        assert b"<script>" not in answer.body

    story(tmp_path, work)


def test_errors_have_the_shape_that_clients_know(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        missing = await cloud.call("GET", "/v2/images/nope")
        assert missing.json == {
            "message": f"No image found with ID nope{TAIL}", "code": "404 Not Found", "title": "Not Found",
        }  # fmt: skip
        wrong = await cloud.call("PUT", "/v2/images")
        assert wrong.json == {
            "message": "The method PUT is not allowed for this resource. <br /><br />\n",
            "code": "405 Method Not Allowed",
            "title": "Method Not Allowed",
        }
        assert wrong.headers["allow"] == "GET, POST"
        none = await cloud.call("GET", "/v2/nothing")
        assert (none.status, none.json["title"]) == (404, "Not Found")

    story(tmp_path, work)


def test_a_body_that_is_no_json_is_refused(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        for body in (b"{", b"[[[[", b"\xff", b"", b"[" * 100_000):
            answer = await cloud.call("POST", "/v2/images", body, headers={"content-type": "application/json"})
            assert answer.status == 400, body[:10]

    story(tmp_path, work)


def test_a_megabyte_of_properties_is_too_much(tmp_path: Path) -> None:
    async def work(cloud: ImageCloud) -> None:
        answer = await cloud.call("POST", "/v2/images", {"x": "y" * (1 << 20)})
        assert answer.status == 413

    story(tmp_path, work)


def test_a_property_as_long_as_may_be_is_kept_and_found(tmp_path: Path) -> None:
    long = secrets.token_hex(30_000)

    async def work(cloud: ImageCloud) -> None:
        await cloud.create(name="short", long=long[:-1], other=long)
        await cloud.create(name="whole", long=long)
        found = await cloud.call("GET", f"/v2/images?long={long}")
        assert [image["name"] for image in found.json["images"]] == ["whole"]

    story(tmp_path, work)
