"""Compute as its users own tools see it: openstacksdk and the `openstack` command, over a socket, a whole cloud."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.http.server import bind_tcp, listen
from tests.cloud import World

openstack = pytest.importorskip("openstack")

pytestmark = pytest.mark.clients

Session = Callable[[str, World], Awaitable[None]]


def served(path: Path, session: Session) -> None:
    """Run `session` with the address of a cloud that listens on a port of its own; it must be clean afterwards."""

    async def whole() -> None:
        world = World(path / "cloud")
        await world.start()
        socket = bind_tcp("127.0.0.1", 0)
        listener = await listen(world.cloud.front, socket, world.runtime)
        try:
            admin = await world.admin()
            await admin.create_image("disk", visibility="public")
            await admin.create_network("net")
            await session(f"http://127.0.0.1:{socket.getsockname()[1]}", world)
            await world.settle()
            assert await world.audit() == []
        finally:
            await listener.stop()
            await world.stop()

    asyncio.run(whole())


def connect(address: str, world: World, **facts: Any) -> Any:
    return openstack.connect(
        auth_url=f"{address}/identity/v3",
        username="admin",
        password=world.cloud.secrets.admin_password,
        project_name="admin",
        user_domain_name="Default",
        project_domain_name="Default",
        region_name="RegionOne",
        load_yaml_config=False,
        load_envvars=False,
        **facts,
    )


def test_openstacksdk_runs_a_server(tmp_path: Path) -> None:
    def work(address: str, world: World) -> None:
        cloud = connect(address, world)
        flavor = cloud.compute.create_flavor(name="small", ram=64, vcpus=1, disk=1)
        cloud.compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "shared"})
        assert cloud.compute.find_flavor("small", get_extra_specs=True).extra_specs == {"hw:cpu_policy": "shared"}
        key = cloud.compute.create_keypair(name="mine")
        assert "PRIVATE KEY" in key.private_key
        network, image = cloud.network.find_network("net"), cloud.image.find_image("disk")
        made = cloud.compute.create_server(
            name="web", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}], key_name="mine",
            metadata={"a": "b"}, tags=["t"], description="d",
        )  # fmt: skip
        server = cloud.compute.wait_for_server(made, interval=0.05, wait=30)
        assert (server.status, server.key_name, server.metadata, server.tags) == ("ACTIVE", "mine", {"a": "b"}, ["t"])
        assert server.flavor.original_name == "small"
        assert server.image.id == image.id
        assert server.compute_host == server.hypervisor_hostname
        assert cloud.compute.find_server("web").id == server.id
        assert [one.id for one in cloud.compute.servers(name="^web$", status="active", tags="t")] == [server.id]
        cloud.compute.set_server_metadata(server, c="d")
        assert cloud.compute.get_server_metadata(server).metadata == {"a": "b", "c": "d"}
        cloud.compute.delete_server_metadata(server, ["a"])
        cloud.compute.add_tag_to_server(server, "u")
        assert sorted(cloud.compute.get_server(server).tags) == ["t", "u"]
        cloud.compute.stop_server(server)
        cloud.compute.wait_for_server(server, status="SHUTOFF", interval=0.05, wait=30)
        cloud.compute.start_server(server)
        cloud.compute.wait_for_server(server, interval=0.05, wait=30)
        cloud.compute.lock_server(server, locked_reason="busy")
        assert cloud.compute.get_server(server).locked_reason == "busy"
        cloud.compute.unlock_server(server)
        updated = cloud.compute.update_server(server, name="web2", description="e")
        assert (updated.name, updated.description) == ("web2", "e")
        assert [one.action for one in cloud.compute.server_actions(server)][-1] == "create"
        create = list(cloud.compute.server_actions(server))[-1]
        assert cloud.compute.get_server_action(create.request_id, server).events[0]["result"] == "Success"
        assert [one.net_id for one in cloud.compute.server_interfaces(server)] == [network.id]
        assert cloud.compute.get_server_console_output(server, length=1)["output"] is not None
        assert cloud.compute.get_limits().absolute.instances_used == 1
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.05, wait=30)
        assert list(cloud.compute.servers()) == []
        cloud.compute.delete_keypair("mine")
        cloud.compute.delete_flavor(flavor)

    async def session(address: str, world: World) -> None:
        await asyncio.to_thread(work, address, world)

    served(tmp_path, session)


def test_openstacksdk_manages_the_cloud(tmp_path: Path) -> None:
    def work(address: str, world: World) -> None:
        cloud = connect(address, world)
        hosts = list(cloud.compute.hypervisors(details=True))
        assert [one.name for one in hosts] == ["host-1", "host-2"]
        assert cloud.compute.get_hypervisor(hosts[0]).state == "up"
        service = next(one for one in cloud.compute.services() if one.host == "host-1")
        cloud.compute.disable_service(service, disabled_reason="fan")
        assert cloud.compute.find_service(service.id).disabled_reason == "fan"
        cloud.compute.enable_service(service)
        assert [zone.name for zone in cloud.compute.availability_zones()] == ["nova"]
        aggregate = cloud.compute.create_aggregate(name="fast", availability_zone="east")
        cloud.compute.add_host_to_aggregate(aggregate, "host-2")
        assert sorted(zone.name for zone in cloud.compute.availability_zones()) == ["east", "nova"]
        cloud.compute.remove_host_from_aggregate(aggregate, "host-2")
        cloud.compute.set_aggregate_metadata(aggregate, {"ssd": "true"})
        assert cloud.compute.get_aggregate(aggregate).metadata["ssd"] == "true"
        cloud.compute.delete_aggregate(aggregate)
        project = cloud.current_project_id
        assert cloud.compute.update_quota_set(project, cores=7).cores == 7
        assert cloud.compute.get_quota_set(project, usage=True).usage["cores"] == 0
        cloud.compute.revert_quota_set(project)
        assert cloud.compute.get_quota_set_defaults(project).cores == 20
        group = cloud.compute.create_server_group(
            name="apart", policy="anti-affinity", rules={"max_server_per_host": 2}
        )
        assert cloud.compute.find_server_group("apart").rules == {"max_server_per_host": 2}
        cloud.compute.delete_server_group(group)
        assert cloud.compute.get_usage(project) is not None

    async def session(address: str, world: World) -> None:
        await asyncio.to_thread(work, address, world)

    served(tmp_path, session)


def test_a_client_is_told_what_is_wrong(tmp_path: Path) -> None:
    def work(address: str, world: World) -> None:
        cloud = connect(address, world)
        with pytest.raises(openstack.exceptions.NotFoundException, match="could not be found"):
            cloud.compute.get_server("00000000-0000-4000-8000-000000000000")
        with pytest.raises(openstack.exceptions.BadRequestException, match="Flavor nope could not be found"):
            cloud.compute.create_server(name="x", flavor_id="nope", networks="none")
        with pytest.raises(openstack.exceptions.ConflictException, match="already exists"):
            for _ in range(2):
                cloud.compute.create_flavor(name="twice", ram=1, vcpus=1, disk=0)

    async def session(address: str, world: World) -> None:
        await asyncio.to_thread(work, address, world)

    served(tmp_path, session)


def test_the_openstack_command_works(tmp_path: Path) -> None:
    """One session typed as a user would: each command must succeed."""

    async def session(address: str, world: World) -> None:
        env = {key: value for key, value in os.environ.items() if not key.startswith("OS_")} | {
            "OS_AUTH_URL": f"{address}/identity/v3",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": world.cloud.secrets.admin_password,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
        }
        command = Path(sys.executable).with_name("openstack")

        async def type_(line: str) -> Any:
            wants_json = any(f" {word} " in f" {line} " for word in ("list", "show", "create"))
            argv = [*line.split(), *(["-f", "json"] if wants_json and "console" not in line else [])]
            process = await asyncio.create_subprocess_exec(
                command, *argv, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, err = await process.communicate()
            assert process.returncode == 0, (line, err.decode())
            return json.loads(out) if wants_json and "console" not in line else out.decode()

        await type_("flavor create --ram 64 --disk 1 --vcpus 1 small")
        server = await type_(
            "server create --flavor small --image disk --network net --property a=b --tag t --wait web"
        )
        assert (server["status"], server["properties"], server["tags"]) == ("ACTIVE", {"a": "b"}, ["t"])
        (listed,) = await type_("server list --long --name web")
        assert (listed["Status"], listed["Flavor"], listed["Host Status"]) == ("ACTIVE", "small", "UP")
        for line in (
            "server stop web", "server start web", "server set --name db --description d web",
            "server lock --reason busy db", "server unlock db", "server unset --property a --tag t db",
            "server add security group db default", "server reboot --hard --wait db",
        ):  # fmt: skip
            await type_(line)
        shown = await type_("server show db")
        assert (shown["name"], shown["description"], shown["tags"]) == ("db", "d", [])
        events = await type_("server event list db")
        assert events[-1]["Action"] == "create"
        assert (await type_(f"server event show db {events[-1]['Request ID']}"))["events"][0]["result"] == "Success"
        assert await type_("console log show db")
        assert (await type_("hypervisor show host-1"))["state"] == "up"
        assert len(await type_("compute service list --service nova-compute")) == 2
        assert (await type_("availability zone list --compute"))[0]["Zone Name"] == "nova"
        assert {one["Name"]: one["Value"] for one in await type_("limits show --absolute")}["instances_used"] == 1
        await type_("quota set --cores 7 admin")
        assert {one["Resource"]: one["Limit"] for one in await type_("quota show --compute admin")}["cores"] == 7
        await type_("server group create --policy soft-anti-affinity apart")
        assert (await type_("server group show apart"))["policy"] == "soft-anti-affinity"
        assert len((await type_("usage show"))["Servers"]) == 1
        for line in ("server delete --wait db", "server group delete apart", "flavor delete small"):
            await type_(line)
        assert await type_("server list") == []

    served(tmp_path, session)
