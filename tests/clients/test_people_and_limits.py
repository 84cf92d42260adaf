"""Users, roles, keypairs, quotas and limits through openstacksdk."""

from collections.abc import Callable
from typing import Any

import pytest
from keystoneauth1.exceptions.http import Unauthorized

from tests.clients.conftest import Person, connect
from tests.process import CloudProcess

openstack = pytest.importorskip("openstack")


def test_a_reader_may_look_and_not_touch(cloud: CloudProcess, admin: Any, newcomer: Callable[..., Person]) -> None:
    reader = newcomer("reader").connection
    assert list(reader.compute.servers()) == []
    assert list(reader.network.networks(project_id=reader.current_project_id)) == []
    for touch in (
        lambda: reader.network.create_network(name="n"),
        lambda: reader.block_storage.create_volume(size=1),
        lambda: reader.image.create_image("i", disk_format="raw", container_format="bare", data=b"0"),
        lambda: reader.identity.create_project(name="p"),
    ):
        with pytest.raises(openstack.exceptions.HttpException) as refused:
            touch()
        assert refused.value.status_code == 403


def test_a_lost_role_and_a_wrong_password_shut_the_door(cloud: CloudProcess, admin: Any, member: Person) -> None:
    assert list(member.connection.compute.servers()) == []
    role, user = admin.identity.find_role("member"), admin.identity.find_user(member.name)
    admin.identity.unassign_project_role_from_user(member.project_id, user, role)
    with pytest.raises(Unauthorized):  # the token ended with the role, and there is no other for this project
        list(member.connection.compute.servers())
    with pytest.raises(openstack.exceptions.SDKException, match="401"):
        connect(cloud, username=member.name, password="wrong", project_name=member.name).authorize()


def test_an_application_credential_works_alone(cloud: CloudProcess, member: Person) -> None:
    identity = member.connection.identity
    credential = identity.create_application_credential(member.connection.current_user_id, name="ci")
    with openstack.connect(
        auth_type="v3applicationcredential", auth_url=cloud.settings()["auth"]["auth_url"],
        application_credential_id=credential.id, application_credential_secret=credential.secret,
        region_name="RegionOne", load_yaml_config=False, load_envvars=False,
    ) as ci:  # fmt: skip
        assert ci.current_project_id == member.project_id
        assert list(ci.compute.servers()) == []


def test_a_keypair_is_made_or_brought(member: Person) -> None:
    compute = member.connection.compute
    made = compute.create_keypair(name="made", type="ssh")
    assert "PRIVATE KEY" in made.private_key
    brought = compute.create_keypair(name="brought", public_key=made.public_key)
    assert brought.fingerprint == made.fingerprint
    assert {each.name for each in compute.keypairs()} == {"made", "brought"}
    compute.delete_keypair("made")
    with pytest.raises(openstack.exceptions.NotFoundException):
        compute.get_keypair("made")


def test_quotas_hold_and_can_be_raised(admin: Any, member: Person, flavor: Any, image: Any) -> None:
    connection, compute = member.connection, member.connection.compute
    before = compute.get_limits().absolute
    assert before.instances > 1
    admin.compute.update_quota_set(member.project_id, instances=1)
    assert admin.compute.get_quota_set(member.project_id).instances == 1
    assert compute.get_limits().absolute.instances == 1

    def launch(name: str) -> Any:
        return connection.compute.create_server(name=name, flavor_id=flavor.id, image_id=image.id, networks="none")

    first = launch("first")
    with pytest.raises(openstack.exceptions.ForbiddenException, match="[Qq]uota"):
        launch("second")
    admin.compute.update_quota_set(member.project_id, instances=2)
    second = launch("second")
    for server in (first, second):
        compute.wait_for_server(server, interval=0.1, wait=60)
    assert compute.get_limits().absolute.instances_used == 2

    admin.block_storage.update_quota_set(member.project_id, volumes=0)
    with pytest.raises(openstack.exceptions.HttpException) as refused:
        connection.block_storage.create_volume(size=1)
    assert refused.value.status_code == 413
    admin.network.update_quota(member.project_id, networks=0)
    with pytest.raises(openstack.exceptions.ConflictException, match="[Qq]uota"):
        connection.network.create_network(name="n")
    assert admin.network.get_quota(member.project_id, details=True).networks["limit"] == 0


def test_the_administrator_sees_hosts_and_services(admin: Any) -> None:
    assert len(list(admin.compute.hypervisors(details=True))) == 3
    computes = [each for each in admin.compute.services() if each.binary == "nova-compute"]
    assert [each.state for each in computes] == ["up"] * 3
    host = computes[0].host
    admin.compute.disable_service(computes[0], host, "nova-compute", disabled_reason="repair")
    again = next(each for each in admin.compute.services() if each.host == host and each.binary == "nova-compute")
    assert (again.status, again.disabled_reason) == ("disabled", "repair")
    admin.compute.enable_service(computes[0], host, "nova-compute")


def test_a_rehearsed_failure_is_told_to_the_user(member: Person, flavor: Any, image: Any) -> None:
    compute = member.connection.compute
    facts = {"flavor_id": flavor.id, "image_id": image.id, "networks": "none"}
    server = compute.create_server(name="unlucky", metadata={"pileus:fail": "spawn:1"}, **facts)
    assert compute.wait_for_server(server, interval=0.1, wait=60).status == "ACTIVE"
    doomed = compute.create_server(name="doomed", metadata={"pileus:fail": "spawn"}, **facts)
    with pytest.raises(openstack.exceptions.ResourceFailure):
        compute.wait_for_server(doomed, interval=0.1, wait=60)
    fault = compute.get_server(doomed).fault
    assert fault["code"] == 500
    assert fault["message"]
    compute.delete_server(doomed)
    compute.wait_for_delete(doomed, interval=0.1, wait=60)
