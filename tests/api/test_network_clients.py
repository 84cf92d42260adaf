"""The users' own tools as judges: openstacksdk and the openstack command against the service over a socket."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.network_cloud import network_cloud, project

openstack = pytest.importorskip("openstack")
uvicorn = pytest.importorskip("uvicorn")

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A network service on a port of this machine, with an external network."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready, servers = threading.Event(), []

    async def serve(directory: Path) -> None:
        async with network_cloud(directory) as cloud:
            await cloud.external()
            server = uvicorn.Server(uvicorn.Config(cloud.app, log_level="warning", lifespan="off"))
            servers.append(server)
            ready.set()
            await server.serve(sockets=[listener])

    def run() -> None:
        import asyncio

        asyncio.run(serve(tmp_path_factory.mktemp("network")))

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    yield address
    servers[0].should_exit = True
    thread.join(30)
    assert not thread.is_alive()


Connect = Callable[[str], Any]


@pytest.fixture
def connect(url: str) -> Connect:
    def connection(token: str) -> Any:
        return openstack.connect(
            load_yaml_config=False, auth_type="admin_token", auth={"endpoint": url, "token": token}
        )

    return connection


def test_the_sdk_goes_through_everything(connect: Connect) -> None:
    net = connect("member@sdk").network
    external = next(net.networks(is_router_external=True))
    network = net.create_network(name="n")
    subnet = net.create_subnet(network_id=network.id, cidr="10.0.0.0/24", ip_version=4, name="s")
    port = net.create_port(network_id=network.id, name="p", fixed_ips=[{"ip_address": "10.0.0.9"}])
    assert net.find_network("n").id == network.id
    assert [found.id for found in net.ports(network_id=network.id)] == [port.id]
    assert [found.id for found in net.ports(fixed_ips=["ip_address=10.0.0.9"])] == [port.id]
    router = net.create_router(name="r", external_gateway_info={"network_id": external.id})
    net.add_interface_to_router(router, subnet_id=subnet.id)
    floating = net.create_ip(floating_network_id=external.id, port_id=port.id)
    assert floating.status == "ACTIVE"
    assert net.find_ip(floating.floating_ip_address).id == floating.id
    group = net.create_security_group(name="g")
    rule = net.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    assert rule.id in [found["id"] for found in net.get_security_group(group.id).security_group_rules]
    assert net.update_port(port, security_groups=[group.id]).security_group_ids == [group.id]
    net.set_tags(network, ["x"])
    assert [found.id for found in net.networks(tags="x")] == [network.id]
    net.delete_ip(floating)
    net.remove_interface_from_router(router, subnet_id=subnet.id)
    net.delete_router(router)
    with pytest.raises(openstack.exceptions.ConflictException):
        net.delete_network(network, ignore_missing=False)
    net.delete_port(port)
    net.delete_security_group(group)
    net.delete_network(network, ignore_missing=False)
    assert net.find_network("n") is None


def test_the_sdk_walks_pages(connect: Connect) -> None:
    net = connect("member@pages").network
    for number in range(5):
        net.create_network(name=f"n{number}")
    found = [network.name for network in net.networks(limit=2) if not network.is_router_external]
    assert sorted(found) == [f"n{number}" for number in range(5)]


def test_the_sdk_reads_and_writes_quotas(connect: Connect) -> None:
    admin = connect("admin@ops").network
    assert admin.get_quota(project("sdk")).ports == 500
    assert admin.update_quota(project("sdk"), ports=7).ports == 7
    assert admin.get_quota_default(project("sdk")).ports == 500
    assert admin.get_quota(project("sdk"), details=True).ports["limit"] == 7
    admin.delete_quota(project("sdk"))
    assert admin.get_quota(project("sdk")).ports == 500


def test_an_old_revision_is_refused_to_the_sdk(connect: Connect) -> None:
    net = connect("member@revision").network
    network = net.create_network(name="n")
    net.update_network(network.id, name="m")
    with pytest.raises(openstack.exceptions.PreconditionFailedException):
        net.update_network(network, if_revision=network.revision_number, name="k")


@pytest.fixture
def command(url: str) -> Callable[..., Any]:
    """`command("network list")` runs the openstack command and returns what it prints as JSON."""
    pytest.importorskip("openstackclient")
    as_member = ["--os-auth-type", "admin_token", "--os-endpoint", url, "--os-token", "member@cli"]

    def run(line: str, *, json_out: bool = True) -> Any:
        shown = ["-f", "json"] if json_out else []
        argv = [sys.executable, "-m", "openstackclient.shell", *as_member, *line.split(), *shown]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if json_out else done.stdout

    return run


def test_the_openstack_command_goes_through_the_everyday(command: Callable[..., Any]) -> None:
    network = command("network create n")
    subnet = command(
        "subnet create s --network n --subnet-range 10.5.0.0/24 --gateway 10.5.0.254 --dns-nameserver 9.9.9.9 "
        "--allocation-pool start=10.5.0.10,end=10.5.0.20 --host-route destination=10.9.0.0/24,gateway=10.5.0.9"
    )
    assert subnet["allocation_pools"] == [{"start": "10.5.0.10", "end": "10.5.0.20"}]
    port = command("port create p --network n --fixed-ip subnet=s,ip-address=10.5.0.15")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.5.0.15"}]
    command("router create r --external-gateway public")
    command("router add subnet r s", json_out=False)
    command("router set r --route destination=10.77.0.0/24,gateway=10.5.0.77", json_out=False)
    assert command("floating ip create public --port p")["status"] == "ACTIVE"
    command("security group create g")
    rule = command("security group rule create g --protocol tcp --dst-port 80:90 --remote-ip 10.0.0.0/8")
    assert (rule["port_range_min"], rule["port_range_max"]) == (80, 90)
    assert [line["Name"] for line in command("network list --external")] == ["public"]
    assert {line["Name"] for line in command("network list")} == {"n", "public"}
    assert command("network show n")["id"] == network["id"]
    assert len(command("security group rule list g")) == 3
    assert "router" in {line["Alias"] for line in command("extension list --network")}
