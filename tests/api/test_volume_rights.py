"""Who may do what: every operation, by every role, on one's own and on another project's things."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.route import Route
from pileus.volume.api.policies import ADMIN, POLICIES
from pileus.volume.api.routes import ROUTES
from tests.api.volume_cloud import VolumeCloud, project, tell, volume_cloud  # noqa: F401 - a fixture
from tests.conftest import Run

RULES = {rule.name: rule.check_str for rule in POLICIES}
OPERATIONS = tuple(route for route in ROUTES if route.policy)
SERVER = "22222222-2222-4222-8222-222222222222"
REFUSED = {401, 403, 404}


async def address(cloud: VolumeCloud, route: Route) -> tuple[str, Any]:
    """The path of the operation on things of project red, and a body for it."""
    volume = await cloud.volume()
    held = await cloud.attachment((await cloud.volume())["id"], SERVER)
    failed = await cloud.volume(metadata={"pileus:fail": "create"})
    (message,) = (await cloud.get("/messages"))["messages"]
    assert failed["status"] == "error"
    kind = await cloud.post("/types", {"volume_type": {"name": "kind"}}, as_="admin@ops", expect=200)
    taken = await cloud.post("/snapshots", {"snapshot": {"volume_id": (await cloud.volume())["id"]}})
    facts = {
        "volume_id": volume["id"], "attachment_id": held["id"], "message_id": message["id"],
        "type_id": kind["volume_type"]["id"], "target_project_id": project("red"), "class_name": "default",
        "key": "k", "alias": "x", "host_name": "x", "snapshot_id": taken["snapshot"]["id"],
    }  # fmt: skip
    return route.path.format(**facts), body_of(route, volume["id"])


BODIES: dict[str, Any] = {
    "/v3/volumes": {"volume": {"size": 1}},
    "/v3/volumes/{volume_id}": {"volume": {"name": "x"}},
    "/v3/volumes/{volume_id}/metadata": {"metadata": {"k": "v"}},
    "/v3/volumes/{volume_id}/metadata/{key}": {"meta": {"k": "v"}},
    "/v3/attachments/{attachment_id}": {"attachment": {"connector": {"host": "h"}}},
    "/v3/snapshots/{snapshot_id}": {"snapshot": {"name": "x"}},
    "/v3/snapshots/{snapshot_id}/metadata": {"metadata": {"k": "v"}},
    "/v3/snapshots/{snapshot_id}/metadata/{key}": {"meta": {"k": "v"}},
    "/v3/os-quota-sets/{target_project_id}": {"quota_set": {"volumes": 10}},
    "/v3/os-quota-class-sets/{class_name}": {"quota_class_set": {"volumes": 10}},
}
ARGUMENTS: dict[str, Any] = {
    "os-extend": {"new_size": 2}, "os-set_bootable": {"bootable": True}, "os-update_readonly_flag": {"readonly": False},
    "os-retype": {"new_type": "kind"},
    "os-attach": {"instance_uuid": SERVER, "mountpoint": "/dev/vdb"},
    "os-initialize_connection": {"connector": {"host": "h"}}, "os-terminate_connection": {"connector": {"host": "h"}},
    "os-set_image_metadata": {"metadata": {"a": "b"}}, "os-unset_image_metadata": {"key": "a"},
}  # fmt: skip


def body_of(route: Route, volume_id: str) -> Any:
    """What the operation takes; where no right is needed to hear that it is wrong, anything."""
    if route.action == "os-reset_status":
        return {route.action: {"status": "available"}}
    if route.action:
        return {route.action: ARGUMENTS.get(route.action, {})}
    if route.op == "block-storage:post:attachments":
        return {"attachment": {"volume_uuid": volume_id, "instance_uuid": SERVER}}
    if route.op == "block-storage:post:snapshots":
        return {"snapshot": {"volume_id": volume_id}}
    return BODIES.get(route.path, {}) if route.method in ("POST", "PUT") else None


def may(route: Route, role: str) -> bool:
    rule = RULES[route.policy or ""]
    if role == "admin":
        return True
    if role == "service":
        return "service_api" in rule
    if rule == ADMIN or role == "nobody":
        return False
    return role == "member" or "reader" in rule


@pytest.mark.parametrize("route", OPERATIONS, ids=lambda route: f"{route.op} {route.since}")
def test_an_operation_is_for_those_whom_its_rule_admits(tell: Any, route: Route) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path, body = await address(cloud, route)
        version = f"volume {route.since or route.until or '3.71'}"
        if route.op.endswith("messages/*"):
            version = "volume 3.71"
        assert (await cloud.ask(route.method, path, body, as_="", version=version)).status == 401
        for role in ("nobody", "reader", "member", "service", "admin"):
            answer = await cloud.ask(route.method, path, body, as_=f"{role}@red", version=version)
            passed = answer.status not in (401, 403)
            assert passed == may(route, role), (role, answer.status, answer.body)
            if passed and route.method == "DELETE":
                return

    tell(story)


@pytest.mark.parametrize(
    "route", [route for route in OPERATIONS if "{" in route.path], ids=lambda route: f"{route.op} {route.since}"
)
def test_a_stranger_gets_at_nothing(tell: Any, route: Route) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        if "{type_id}" in route.path and may(route, "reader"):
            return  # public types are everybody's
        path, body = await address(cloud, route)
        before = (await cloud.get("/volumes/detail"))["volumes"]
        version = f"volume {route.since or route.until or '3.71'}"
        answer = await cloud.ask(route.method, path, body, as_="member@blue", version=version)
        assert answer.status in REFUSED, answer.body
        assert project("red") not in answer.body.decode()
        assert (await cloud.get("/volumes/detail"))["volumes"] == before

    tell(story)


def test_an_operator_may_change_a_rule(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        async with volume_cloud(tmp_path, policies={"volume:create": "role:admin"}) as cloud:
            await cloud.post("/volumes", {"volume": {"size": 1}}, expect=403)
            await cloud.post("/volumes", {"volume": {"size": 1}}, as_="admin@red")

    run(play)


def test_headers_of_a_client_change_nothing(tell: Any) -> None:  # noqa: F811
    async def story(cloud: VolumeCloud) -> None:
        path = f"/v3/volumes/{(await cloud.volume())['id']}"
        forged = {"x_roles": "admin", "x_project_id": project("red"), "x_is_admin_project": "True", "x_user_id": "root"}
        assert (await cloud.ask("GET", path, as_="member@blue", **forged)).status == 404
        assert (await cloud.ask("GET", "/v3/os-services", as_="member@red", **forged)).status == 403

    tell(story)
