"""What belongs to others is not there: under one's own parent, in a body, in a list with a foreign filter."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import SERVICES, World
from tests.conftest import Run
from tests.security.asking import ask
from tests.security.rights import OF_A_PROJECT, OF_A_USER, parameters
from tests.security.stage import Stage

CHILDREN = (OF_A_PROJECT | OF_A_USER | {"request_id"}) - {"member_id", "project_id", "target_project_id"}


def test_a_foreign_child_is_not_found_under_ones_own_parent(run: Run, tmp_path: Path) -> None:
    """OSSN-0102: authorised by the parent in the path, loaded by its own id."""

    async def scenario() -> tuple[list[str], int]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        stage = await Stage(world).build()
        blue = await stage.things_of(stage.blue) | await stage.credentials_of(stage.blue)
        blue |= {"user_id": stage.blue.user_id, "project_id": stage.blue.project_id}
        asked = [one async for one in _mixed(stage, blue)]
        await world.stop()
        return [told for told, is_fine in asked if not is_fine], len(asked)

    bad, count = run(scenario)
    assert not bad, "\n".join(bad)
    assert count >= 12


async def _mixed(stage: Stage, blue: dict[str, str]) -> AsyncIterator[tuple[str, bool]]:
    for name in SERVICES:
        api = stage.world.cloud._apps[name].api
        for route in api.routes:
            child = route.path.rpartition("{")[2].partition("}")[0]
            if (
                len(parameters(route)) < 2
                or child not in CHILDREN
                or "/roles" in route.path
                or "/groups/" in route.path
            ):
                continue
            foreign = {key: stage.ids[key] for key in (child, "ec2_id", "free_port")}
            mixed = blue | foreign
            answer = await ask(stage, f"/{name}", api, route, "manager@blue", mixed)
            yield f"{route.method} {route.path}: {answer.status} {answer.body[:200]!r}", answer.status in (403, 404)


LISTS = {
    "compute": ("/servers", "/servers/detail", "/os-server-groups"),
    "network": ("/networks", "/subnets", "/ports", "/routers", "/floatingips", "/security-groups",
                "/security-group-rules"),
    "volume": ("/volumes", "/volumes/detail", "/attachments", "/messages"),
    "image": ("/images",),
}  # fmt: skip
FILTERS = ("project_id={red}", "tenant_id={red}", "all_tenants=1", "all_projects=1", "all_tenants=1&project_id={red}",
           "owner={red}", "user_id={user}", "all_tenants=true&tenant_id={red}", "visibility=all",
           "owner={red}&visibility=private", "member_status=all&visibility=shared")  # fmt: skip


def test_a_foreign_filter_in_a_list_shows_nothing_foreign(run: Run, tmp_path: Path) -> None:
    """OSSN-0103: the filter names a project, and was trusted."""

    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        stage = await Stage(world).build()
        bad = []
        for service, paths in LISTS.items():
            for path in paths:
                own = await stage.member.request(service, "GET", path)
                assert stage.ids["project_id"].encode() in own.body or b'"id"' in own.body, path  # it is there to see
                for words in FILTERS:
                    query = words.format(red=stage.ids["project_id"], user=stage.ids["user_id"])
                    answer = await stage.blue.request(service, "GET", f"{path}?{query}")
                    if answer.status not in (200, 400, 403) or _shows(answer.body, stage):
                        bad.append(f"{service} {path}?{words}: {answer.status} {answer.body[:300]!r}")
        await world.stop()
        return bad

    bad = run(scenario)
    assert not bad, "\n".join(bad)


def _shows(body: bytes, stage: Stage) -> bool:
    mine = [value for key, value in stage.ids.items() if key in OF_A_PROJECT - {"project_id", "target_project_id"}]
    return any(thing.encode() in body for thing in mine if thing != stage.ids["green"])


def _server(**facts: Any) -> Any:
    return lambda red, blue: {
        "server": {
            "name": "x", "flavorRef": blue["flavor_id"], "imageRef": blue["image_id"], "networks": "none",
        } | {key: _filled(value, red) for key, value in facts.items()}
    }  # fmt: skip


def _filled(value: Any, ids: dict[str, str]) -> Any:
    """The document with every `<name>` in it replaced by the id of that name."""
    if isinstance(value, dict):
        return {key: _filled(part, ids) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, ids) for part in value]
    return ids[value[1:-1]] if isinstance(value, str) and value.startswith("<") else value


def _of_red(**document: Any) -> Any:
    return lambda red, blue: _filled(document, red)


BODIES = [
    ("compute", "POST", "/servers", _server(networks=[{"port": "<free_port>"}])),
    ("compute", "POST", "/servers", _server(networks=[{"uuid": "<network_id>"}])),
    ("compute", "POST", "/servers", _server(imageRef="<image_id>")),
    ("compute", "POST", "/servers", _server(block_device_mapping_v2=[
        {"uuid": "<volume_id>", "source_type": "volume", "destination_type": "volume", "boot_index": 1},
        {"uuid": "<image_id>", "source_type": "image", "destination_type": "local", "boot_index": 0},
    ])),
    ("compute", "POST", "/servers/{server_id}/os-interface",
     _of_red(interfaceAttachment={"port_id": "<free_port>"})),
    ("compute", "POST", "/servers/{server_id}/os-interface",
     _of_red(interfaceAttachment={"net_id": "<network_id>"})),
    ("compute", "POST", "/servers/{server_id}/os-volume_attachments",
     _of_red(volumeAttachment={"volumeId": "<volume_id>"})),
    ("compute", "POST", "/servers/{server_id}/action", _of_red(rebuild={"imageRef": "<image_id>"})),
    ("compute", "POST", "/servers/{server_id}/action", _of_red(addSecurityGroup={"name": "<security_group_id>"})),
    ("volume", "POST", "/volumes", _of_red(volume={"size": 1, "imageRef": "<image_id>"})),
    ("volume", "POST", "/volumes", _of_red(volume={"size": 1, "source_volid": "<volume_id>"})),
    ("volume", "POST", "/attachments", _of_red(attachment={"volume_uuid": "<volume_id>",
                                                           "instance_uuid": "<server_id>"})),
    ("network", "POST", "/subnets",
     _of_red(subnet={"network_id": "<network_id>", "ip_version": 4, "cidr": "10.8.0.0/24"})),
    ("network", "POST", "/ports", _of_red(port={"network_id": "<network_id>"})),
    ("network", "PUT", "/ports/{free_port}", _of_red(port={"security_groups": ["<security_group_id>"]})),
    ("network", "PUT", "/routers/{router_id}/add_router_interface", _of_red(subnet_id="<subnet_id>")),
    ("network", "PUT", "/routers/{router_id}/add_router_interface", _of_red(port_id="<free_port>")),
    ("network", "PUT", "/routers/{router_id}",
     _of_red(router={"external_gateway_info": {"network_id": "<network_id>"}})),
    ("network", "PUT", "/floatingips/{floatingip_id}", _of_red(floatingip={"port_id": "<free_port>"})),
    ("network", "POST", "/floatingips", _of_red(floatingip={"floating_network_id": "<network_id>"})),
    ("network", "POST", "/security-group-rules",
     _of_red(security_group_rule={"security_group_id": "<security_group_id>", "direction": "ingress"})),
]  # fmt: skip


def test_a_foreign_thing_in_a_body_is_refused_like_one_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        stage = await Stage(world).build()
        blue = await stage.things_of(stage.blue)
        nothing = dict.fromkeys(stage.ids, "00000000-0000-4000-8000-000000000000")
        bad = []
        for service, method, path, document in BODIES:
            target = path.format(**blue)
            foreign = await stage.blue.request(service, method, target, document(stage.ids, blue))
            absent = await stage.blue.request(service, method, target, document(nothing, blue))
            if foreign.status not in (400, 403, 404) or foreign.status != absent.status:
                bad.append(f"{method} {path} {document(stage.ids, blue)}: {foreign.status} {foreign.body[:200]!r}, "
                           f"absent {absent.status} {absent.body[:200]!r}")  # fmt: skip
        await world.stop()
        return bad

    bad = run(scenario)
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("service", ["compute", "volume"])
def test_anothers_project_in_the_path_is_refused(run: Run, tmp_path: Path, service: str) -> None:
    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        red, blue = await admin.create_project("red"), await admin.create_project("blue")
        user = await admin.create_user("mallory", blue)
        path = "/servers" if service == "compute" else "/volumes"
        assert (await user.request(service, "GET", f"/{blue}{path}")).status == 200
        assert (await user.request(service, "GET", f"/{red}{path}")).status == 400
        await world.stop()

    run(scenario)
