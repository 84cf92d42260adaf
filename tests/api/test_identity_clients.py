"""Identity as its users' own tools see it: openstacksdk and the `openstack` command, over a real socket."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.front import Front
from pileus.foundation.http.server import bind_tcp, listen
from tests.unit.identity.cloud import ADMIN_PASSWORD, Cloud, close_cloud, open_cloud

openstack = pytest.importorskip("openstack")

pytestmark = pytest.mark.clients

Work = Callable[[str, Cloud], Awaitable[None]]


def served(path: Path, work: Work) -> None:
    """Run `work` with the address of an identity service that listens on a port of its own."""

    async def whole() -> None:
        cloud = await open_cloud(path)
        cloud.app._public_url = ""  # hrefs follow the address that the client used
        listening = bind_tcp("127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/identity/v3"
        listener = await listen(Front({"identity": cloud.app}, cloud.app), listening, cloud.clock)
        try:
            await work(address, cloud)
        finally:
            await listener.stop()
            await close_cloud(cloud)

    asyncio.run(whole())


def connect(address: str, **facts: Any) -> Any:
    plain = {
        "auth_url": address,
        "username": "admin",
        "password": ADMIN_PASSWORD,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return openstack.connect(region_name="RegionOne", load_yaml_config=False, load_envvars=False, **(plain | facts))


def test_openstacksdk_sets_up_a_project_for_a_new_user(tmp_path: Path) -> None:
    def session(address: str) -> None:
        admin = connect(address)
        project = admin.identity.create_project(name="work", description="d")
        user = admin.identity.create_user(name="ann", password="secret", default_project_id=project.id)
        role = admin.identity.find_role("member")
        admin.identity.assign_project_role_to_user(project, user, role)
        listed = admin.identity.role_assignments(user_id=user.id, include_names=True)
        assert [each.role["name"] for each in listed] == ["member"]
        assert admin.identity.find_user("ann").id == user.id
        assert {each.name for each in admin.identity.projects()} == {"admin", "service", "work"}

        ann = connect(address, username="ann", password="secret", project_name="work")
        assert ann.current_project_id == project.id
        assert [each.name for each in ann.identity.user_projects(user)] == ["work"]
        with pytest.raises(openstack.exceptions.ForbiddenException):
            list(ann.identity.users())
        credential = ann.identity.create_application_credential(user.id, name="ci")
        by_credential = openstack.connect(
            auth_url=address,
            auth_type="v3applicationcredential",
            application_credential_id=credential.id,
            application_credential_secret=credential.secret,
            load_yaml_config=False,
            load_envvars=False,
        )
        assert by_credential.current_user_id == user.id

        admin.identity.update_user(user, is_enabled=False)
        with pytest.raises(openstack.exceptions.SDKException, match="requires authentication"):
            connect(address, username="ann", password="secret", project_name="work").authorize()
        admin.identity.delete_user(user)
        admin.identity.delete_project(project)
        assert admin.identity.find_user("ann") is None

    async def work(address: str, cloud: Cloud) -> None:
        await asyncio.to_thread(session, address)

    served(tmp_path, work)


def test_the_catalog_leads_to_where_the_client_came_from(tmp_path: Path) -> None:
    def session(address: str) -> None:
        admin = connect(address)
        root = address.removesuffix("/identity/v3")
        assert admin.endpoint_for("identity") == address
        assert admin.endpoint_for("compute") == f"{root}/compute/v2.1"
        assert admin.endpoint_for("block-storage") == f"{root}/volume/v3/{admin.current_project_id}"

    async def work(address: str, cloud: Cloud) -> None:
        await asyncio.to_thread(session, address)

    served(tmp_path, work)


def test_the_openstack_command_works(tmp_path: Path) -> None:
    """One session typed as an operator would: each command must succeed."""

    async def work(address: str, cloud: Cloud) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("OS_")} | {
            "OS_AUTH_URL": address,
            "OS_USERNAME": "admin",
            "OS_PASSWORD": ADMIN_PASSWORD,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
        }
        command = Path(sys.executable).with_name("openstack")

        async def openstack_command(line: str, **more: str) -> Any:
            wants_json = " list" in line or " show" in line or " create" in line or " issue" in line
            argv = [*line.split(), *(["-f", "json"] if wants_json else [])]
            process = await asyncio.create_subprocess_exec(
                command, *argv, env=env | more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, err = await process.communicate()
            assert process.returncode == 0, (line, err.decode())
            return json.loads(out) if wants_json else None

        token = await openstack_command("token issue")
        assert token["id"]
        project = await openstack_command("project create demo --tag red")
        assert project["tags"] == ["red"]
        await openstack_command("user create --project demo --password secret --email a@b ann")
        await openstack_command("role add --user ann --project demo member")
        found = await openstack_command("role assignment list --names --project demo")
        assert [(each["Role"], each["User"], each["Project"]) for each in found] == [
            ("member", "ann@Default", "demo@Default")
        ]
        mine = {"OS_USERNAME": "ann", "OS_PASSWORD": "secret", "OS_PROJECT_NAME": "demo"}
        assert [each["Name"] for each in await openstack_command("project list --my-projects", **mine)] == ["demo"]
        await openstack_command("user password set --original-password secret --password other", **mine)
        await openstack_command("token issue", **(mine | {"OS_PASSWORD": "other"}))
        assert {each["Type"] for each in await openstack_command("catalog list")} == {
            "identity", "compute", "block-storage",
        }  # fmt: skip
        for line in (f"token revoke {token['id']}", "user delete ann", "project delete demo"):
            await openstack_command(line)

    served(tmp_path, work)
