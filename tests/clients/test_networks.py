"""Networks, routers, floating IPs and security groups through openstacksdk."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import Person
from tests.process import wait_until

openstack = pytest.importorskip("openstack")


@pytest.fixture(scope="module")
def outside(admin: Any) -> Iterator[Any]:
    """The network that routers have as their gateway."""
    project = admin.identity.find_project("service")
    network = admin.network.create_network(
        name="outside", project_id=project.id, is_router_external=True, provider_network_type="flat",
        provider_physical_network="public",
    )  # fmt: skip
    admin.network.create_subnet(
        network_id=network.id, project_id=project.id, cidr="172.24.5.0/24", ip_version=4, is_dhcp_enabled=False
    )
    yield network
    admin.network.delete_network(network)


def test_a_server_gets_a_floating_address(member: Person, admin: Any, outside: Any, flavor: Any, image: Any) -> None:
    connection, network = member.connection, member.connection.network
    inside = network.create_network(name="inside")
    subnet = network.create_subnet(network_id=inside.id, cidr="10.1.0.0/24", ip_version=4, name="inside")
    router = network.create_router(name="router", external_gateway_info={"network_id": outside.id})
    network.add_interface_to_router(router, subnet=subnet.id)
    server = connection.create_server(
        "web", image=image.id, flavor=flavor.id, network=inside.id, auto_ip=False, wait=True
    )
    port = next(network.ports(device_id=server.id))
    floating = network.create_ip(floating_network_id=outside.id, port_id=port.id)
    assert floating.fixed_ip_address == port.fixed_ips[0]["ip_address"]
    wanted = {"fixed": floating.fixed_ip_address, "floating": floating.floating_ip_address}
    wait_until(lambda: addresses(connection, server) == wanted, "the server shows both addresses")
    with pytest.raises(openstack.exceptions.ConflictException):
        network.delete_router(router)
    network.delete_ip(floating)
    wait_until(lambda: set(addresses(connection, server)) == {"fixed"}, "the server shows one address")
    connection.delete_server(server.id, wait=True)
    network.remove_interface_from_router(router, subnet=subnet.id)
    network.delete_router(router)
    network.delete_network(inside)
    assert list(network.ports()) == []


def addresses(connection: Any, server: Any) -> dict[str, str]:
    """By kind, as the server's document has them."""
    listed = connection.compute.get_server(server.id).addresses["inside"]
    return {each["OS-EXT-IPS:type"]: each["addr"] for each in listed}


def test_security_groups_follow_a_server(member: Person, flavor: Any, image: Any) -> None:
    connection, network = member.connection, member.connection.network
    group = network.create_security_group(name="web")
    rule = network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=80, port_range_max=80,
        remote_ip_prefix="0.0.0.0/0",
    )  # fmt: skip
    assert rule.id in {each["id"] for each in network.get_security_group(group).security_group_rules}
    inside = network.create_network(name="inside")
    network.create_subnet(network_id=inside.id, cidr="10.1.0.0/24", ip_version=4)
    server = connection.create_server(
        "web",
        image=image.id,
        flavor=flavor.id,
        network=inside.id,
        security_groups=["web"],
        auto_ip=False,
        wait=True,
    )
    assert next(network.ports(device_id=server.id)).security_group_ids == [group.id]
    with pytest.raises(openstack.exceptions.ConflictException):
        network.delete_security_group(group)
    connection.compute.add_security_group_to_server(server.id, "default")
    names = {each["name"] for each in connection.compute.get_server(server.id).security_groups}
    assert names == {"web", "default"}
    connection.delete_server(server.id, wait=True)
    network.delete_security_group(group)


def test_what_overlaps_or_does_not_fit_is_refused(member: Person) -> None:
    network = member.connection.network
    inside = network.create_network(name="inside")
    subnet = network.create_subnet(network_id=inside.id, cidr="10.1.0.0/29", ip_version=4)
    with pytest.raises(openstack.exceptions.BadRequestException):
        network.create_subnet(network_id=inside.id, cidr="10.1.0.0/24", ip_version=4)
    first = network.create_port(network_id=inside.id, fixed_ips=[{"ip_address": "10.1.0.5"}])
    with pytest.raises(openstack.exceptions.ConflictException):
        network.create_port(network_id=inside.id, fixed_ips=[{"ip_address": "10.1.0.5"}])
    with pytest.raises(openstack.exceptions.ConflictException):
        network.delete_subnet(subnet)
    network.delete_port(first)
    network.delete_subnet(subnet)
    network.delete_network(inside)
