"""Servers through openstacksdk: their whole life, and what hangs on them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.conftest import Person
from tests.process import wait_until

openstack = pytest.importorskip("openstack")

Launch = Callable[..., Any]


@pytest.fixture
def network(member: Person) -> Any:
    network = member.connection.network.create_network(name="net")
    member.connection.network.create_subnet(network_id=network.id, cidr="10.1.0.0/24", ip_version=4)
    return network


@pytest.fixture
def launch(member: Person, flavor: Any, image: Any, network: Any) -> Launch:
    """`launch(name)` returns a server once it is ACTIVE."""

    def create(name: str = "web", **facts: Any) -> Any:
        asked = {"flavor_id": flavor.id, "image_id": image.id, "networks": [{"uuid": network.id}]} | facts
        made = member.connection.compute.create_server(name=name, **asked)
        return member.connection.compute.wait_for_server(made, interval=0.1, wait=60)

    return create


def settled(member: Person, server: Any, status: str) -> Any:
    found = member.connection.compute.wait_for_server(server, status=status, interval=0.1, wait=60)
    assert found.task_state is None
    return found


def test_every_power_command_ends_in_its_state(member: Person, launch: Launch) -> None:
    compute = member.connection.compute
    server = launch()
    assert (server.status, server.vm_state, server.power_state) == ("ACTIVE", "active", 1)
    compute.stop_server(server)
    assert settled(member, server, "SHUTOFF").power_state == 4
    compute.start_server(server)
    settled(member, server, "ACTIVE")
    for kind in ("SOFT", "HARD"):
        compute.reboot_server(server, kind)
        settled(member, server, "ACTIVE")
    compute.pause_server(server)
    assert settled(member, server, "PAUSED").power_state == 3
    compute.unpause_server(server)
    settled(member, server, "ACTIVE")
    compute.suspend_server(server)
    settled(member, server, "SUSPENDED")
    compute.resume_server(server)
    assert settled(member, server, "ACTIVE").power_state == 1
    actions = [each.action for each in compute.server_actions(server)]
    assert actions == ["resume", "suspend", "unpause", "pause", "reboot", "reboot", "start", "stop", "create"]


def test_a_locked_server_refuses_until_it_is_unlocked(member: Person, launch: Launch) -> None:
    compute = member.connection.compute
    server = launch()
    compute.lock_server(server, locked_reason="holiday")
    locked = compute.get_server(server)
    assert (locked.is_locked, locked.locked_reason) == (True, "holiday")
    for command in (compute.stop_server, compute.delete_server):
        with pytest.raises(openstack.exceptions.ConflictException, match="locked"):
            command(server)
    compute.unlock_server(server)
    compute.delete_server(server)
    compute.wait_for_delete(server, interval=0.1, wait=60)


def test_a_server_is_changed_and_rebuilt(member: Person, launch: Launch, image: Any) -> None:
    compute = member.connection.compute
    server = launch(metadata={"a": "1"})
    compute.update_server(server, name="db", description="of orders")
    compute.set_server_metadata(server, b="2")
    compute.delete_server_metadata(compute.get_server(server), ["a"])
    compute.add_tag_to_server(server, "prod")
    changed = compute.get_server(server)
    assert (changed.name, changed.description, changed.metadata, changed.tags) == (
        "db", "of orders", {"b": "2"}, ["prod"],
    )  # fmt: skip
    compute.rebuild_server(server, image, name="db2", metadata={"c": "3"})
    rebuilt = settled(member, server, "ACTIVE")
    assert (rebuilt.name, rebuilt.metadata, rebuilt.image.id) == ("db2", {"c": "3"}, image.id)


def test_an_image_of_a_server_is_usable(member: Person, launch: Launch) -> None:
    compute, images = member.connection.compute, member.connection.image
    server = launch()
    made = compute.create_server_image(server, "copy", metadata={"why": "test"}, wait=True, timeout=60)
    copy = images.get_image(made.id)
    assert (copy.status, copy.properties["why"], copy.instance_uuid) == ("active", "test", server.id)
    assert launch("second", image_id=copy.id).status == "ACTIVE"


def test_the_console_can_be_read(member: Person, launch: Launch) -> None:
    server = launch("talkative")
    output = member.connection.compute.get_server_console_output(server, length=3)["output"]
    assert "talkative" in output
    assert len(output.rstrip("\n").splitlines()) <= 3


def test_volumes_come_and_go(member: Person, launch: Launch) -> None:
    connection = member.connection
    server, volume = launch(), connection.create_volume(1, name="data", wait=True)
    attached = connection.attach_volume(server, volume, wait=True, timeout=60)
    assert attached.device == "/dev/vdb"
    assert connection.block_storage.get_volume(volume).status == "in-use"
    with pytest.raises(openstack.exceptions.BadRequestException):
        connection.block_storage.delete_volume(volume)
    connection.detach_volume(server, volume, wait=True, timeout=60)
    assert connection.block_storage.get_volume(volume).status == "available"
    connection.delete_volume(volume.id, wait=True)


def test_a_server_boots_from_a_volume(member: Person, launch: Launch, image: Any) -> None:
    connection = member.connection
    volume = connection.create_volume(1, name="root", image=image.id, wait=True, bootable=True)
    assert connection.block_storage.get_volume(volume).is_bootable
    disk = {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "uuid": volume.id}
    server = launch(image_id="", block_device_mapping=[disk | {"delete_on_termination": True}])
    assert [each["id"] for each in server.attached_volumes] == [volume.id]
    connection.delete_server(server.id, wait=True)
    connection.block_storage.wait_for_delete(volume, interval=0.1, wait=60)


def test_a_server_makes_its_own_root_volume(member: Person, launch: Launch, image: Any) -> None:
    disk = {
        "boot_index": 0, "source_type": "image", "destination_type": "volume", "uuid": image.id, "volume_size": 2,
        "delete_on_termination": False,
    }  # fmt: skip
    server = launch(image_id="", block_device_mapping=[disk])
    volume = member.connection.block_storage.get_volume(server.attached_volumes[0]["id"])
    assert (volume.size, volume.status) == (2, "in-use")
    member.connection.delete_server(server.id, wait=True)
    assert member.connection.block_storage.get_volume(volume).status == "available"


def test_ports_come_and_go(member: Person, launch: Launch) -> None:
    compute, network = member.connection.compute, member.connection.network
    server = launch()
    second = network.create_network(name="second")
    network.create_subnet(network_id=second.id, cidr="10.2.0.0/24", ip_version=4)
    port = network.create_port(network_id=second.id)
    interface = compute.create_server_interface(server, port_id=port.id)
    assert interface.port_id == port.id
    assert set(compute.get_server(server).addresses) == {"net", "second"}
    assert network.get_port(port).device_id == server.id
    compute.delete_server_interface(port.id, server=server)
    wait_until(lambda: set(compute.get_server(server).addresses) == {"net"}, "the port is gone")
    assert network.get_port(port).device_id == ""


def test_members_of_a_group_are_kept_apart_while_there_are_hosts(
    member: Person, admin: Any, launch: Launch, flavor: Any, image: Any, network: Any
) -> None:
    compute = member.connection.compute
    group = compute.create_server_group(name="apart", policy="anti-affinity")
    servers = [launch(f"part-{number}", scheduler_hints={"group": group.id}) for number in range(3)]
    hosts = {admin.compute.get_server(each.id).compute_host for each in servers}
    assert len(hosts) == 3
    with pytest.raises(openstack.exceptions.ResourceFailure):
        launch("one too many", scheduler_hints={"group": group.id})
    failed = next(each for each in compute.servers() if each.name == "one too many")
    assert failed.status == "ERROR"
    assert "No valid host" in failed.fault["message"]
    members = {failed.id, *(each.id for each in servers)}
    assert set(compute.get_server_group(group).member_ids) == members


def test_a_deleted_server_leaves_nothing(member: Person, launch: Launch) -> None:
    connection = member.connection
    server = launch()
    connection.delete_server(server.id, wait=True)
    assert list(connection.compute.servers()) == []
    assert [port.device_id for port in connection.network.ports(device_id=server.id)] == []
    usage = connection.compute.get_limits().absolute
    assert (usage.instances_used, usage.total_cores_used, usage.total_ram_used) == (0, 0, 0)
