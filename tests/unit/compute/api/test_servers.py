"""Servers over HTTP: launching, reading, changing, deleting."""

from typing import Any

import pytest

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.server import Fault
from pileus.compute.domain.server_states import Action, TaskState, VmState
from pileus.compute.store import servers
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import ALICE, CIRROS, MALLORY, NETWORK, NOW, Cloud, uuid


def wanted(**facts: Any) -> dict[str, Any]:
    return {"server": {"name": "web", "flavorRef": "1", "imageRef": CIRROS, "networks": "none", **facts}}


async def launched(cloud: Cloud, body: dict[str, Any], **options: Any) -> Any:
    """The server that a request made, as the database has it."""
    made = await cloud.ask("POST", "/servers", body, **{"version": "2.100", **options})
    assert made.status == 202, made.body
    return await servers.get(cloud.compute.database, made.json()["server"]["id"])


# -- launching --------------------------------------------------------------------------------------------------------
def test_a_launch_of_any_version_becomes_one_request(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        old = {"name": "old", "flavorRef": 1, "imageRef": CIRROS, "metadata": {"a": "b"}, "config_drive": "True",
               "min_count": "1", "networks": [{"uuid": NETWORK, "fixed_ip": "10.0.0.9"}]}  # fmt: skip
        server = await launched(cloud, {"server": old}, version="2.1")
        assert (server.flavor.id, server.config_drive, server.metadata) == ("1", True, {"a": "b"})
        assert server.description == "old"  # before 2.19 the name is the description
        assert [(nic.network_id, nic.fixed_ip) for nic in server.networks.nics] == [(NETWORK, "10.0.0.9")]
        new = await launched(cloud, wanted(tags=["b", "a"], description="d", hostname="host.example.org"))
        assert (new.tags, new.description, new.hostname, new.networks.mode) == (
            ("b", "a"), "d", "host.example.org", "none",
        )  # fmt: skip

    talk(work)


def test_a_new_server_is_building_and_named_in_the_location(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        made = await cloud.ask("POST", "/servers", wanted(), version="2.37")
        answer = made.json()["server"]
        assert made.headers["location"] == f"http://localhost/v2.1/servers/{answer['id']}"
        assert len(answer["adminPass"]) == 12
        shown = (await cloud.get(f"/servers/{answer['id']}"))["server"]
        assert (shown["status"], shown["OS-EXT-STS:task_state"], shown["hostId"]) == ("BUILD", "scheduling", "")

    talk(work)


def test_a_password_that_was_given_comes_back(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        return (await cloud.ask("POST", "/servers", wanted(adminPass="s3cret"), version="2.37")).json()

    assert talk(work)["server"]["adminPass"] == "s3cret"


def test_several_servers_share_a_reservation(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        body = wanted(min_count=2, max_count=3, return_reservation_id=True)
        made = await cloud.ask("POST", "/servers", body, version="2.37")
        found = await cloud.get(f"/servers?reservation_id={made.json()['reservation_id']}")
        assert sorted(server["name"] for server in found["servers"]) == ["web-1", "web-2", "web-3"]

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "complaint"),
    [
        ("2.1", {"name": ""}, "should be non-empty"),
        ("2.1", {"name": "x" * 256}, "is too long"),
        ("2.1", {"name": " x"}, "is not a name"),
        ("2.1", {"flavorRef": True}, "is not of type"),
        ("2.1", {"imageRef": "cirros"}, "imageRef"),
        ("2.1", {"networks": "auto"}, "networks"),
        ("2.1", {"description": "d"}, "'description' was unexpected"),
        ("2.1", {"accessIPv4": "1.2.3"}, "is not a 'ipv4'"),
        ("2.1", {"metadata": {"k": 1}}, "is not of type 'string'"),
        ("2.1", {"metadata": {"": "v"}}, "metadata"),
        ("2.1", {"min_count": 0}, "is less than the minimum of 1"),
        ("2.1", {"max_count": 10**30}, "is greater than the maximum of 1000"),
        ("2.1", {"min_count": 3, "max_count": 2}, "min_count must be <= max_count"),
        ("2.1", {"user_data": "not base 64!"}, "User data needs to be valid base 64."),
        ("2.1", {"networks": [{"uuid": NETWORK, "tag": "t"}]}, "'tag' was unexpected"),
        ("2.33", {"networks": [{"uuid": NETWORK, "tag": "t"}]}, "'tag' was unexpected"),
        ("2.37", {"networks": [{"uuid": "net"}]}, "'net' is not a 'uuid'"),
        ("2.57", {"personality": []}, "'personality' was unexpected"),
        ("2.51", {"tags": ["t"]}, "'tags' was unexpected"),
        ("2.52", {"tags": ["a,b"]}, "'a,b' does not match"),
        ("2.52", {"tags": ["t", "t"]}, "has non-unique elements"),
        ("2.90", {"hostname": "two.labels"}, "hostname"),
        ("2.94", {"hostname": "-web"}, "hostname"),
        ("2.1", {"key_name": "nope"}, "Invalid key_name provided."),
        ("2.1", {"flavorRef": "nope"}, "Flavor nope could not be found."),
    ],
)
def test_what_a_launch_cannot_ask_for_is_named(talk: Talk, version: str, facts: dict[str, Any], complaint: str) -> None:
    async def work(cloud: Cloud) -> Any:
        body = wanted(**facts)
        if version < "2.37" and "networks" not in facts:
            body["server"].pop("networks")
        return await cloud.ask("POST", "/servers", body, version=version)

    found = talk(work)
    assert found.status == 400, found.body
    assert complaint in found.json()["badRequest"]["message"]


def test_networks_must_be_said_from_2_37_on(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        body = wanted()
        del body["server"]["networks"]
        return await cloud.ask("POST", "/servers", body, version="2.37")

    assert "'networks' is a required property" in talk(work).json()["badRequest"]["message"]


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"availability_zone": "nova:compute1"}, "os_compute_api:servers:create:forced_host"),
        ({"host": "compute1"}, "compute:servers:create:requested_destination"),
        ({"hypervisor_hostname": "compute1"}, "compute:servers:create:requested_destination"),
    ],
)
def test_only_administrators_choose_a_host(talk: Talk, facts: dict[str, Any], rule: str) -> None:
    async def work(cloud: Cloud) -> None:
        refused = await cloud.ask("POST", "/servers", wanted(**facts), version="2.100")
        assert refused.status == 403
        assert refused.json()["forbidden"]["message"] == f"Policy doesn't allow {rule} to be performed."
        assert (await cloud.ask("POST", "/servers", wanted(**facts), version="2.100", token="admin")).status == 202

    talk(work)


def test_quotas_bound_metadata_and_files_of_a_launch(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        many = {f"k{number}": "v" for number in range(129)}
        refused = await cloud.ask("POST", "/servers", wanted(metadata=many), version="2.100")
        assert (refused.status, refused.json()["forbidden"]["message"]) == (
            403, "Maximum number of metadata items exceeds 128",
        )  # fmt: skip
        files = [{"path": f"/f{number}", "contents": "Zm9v"} for number in range(6)]
        body = wanted(personality=files)
        del body["server"]["networks"]
        assert (await cloud.ask("POST", "/servers", body, version="2.1")).status == 403

    talk(work)


def test_a_project_over_its_quota_launches_nothing(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.ask("PUT", f"/os-quota-sets/{ALICE}", {"quota_set": {"instances": 1}}, token="admin")
        await launched(cloud, wanted())
        refused = await cloud.ask("POST", "/servers", wanted(), version="2.100")
        assert refused.status == 403
        assert "instances" in refused.json()["forbidden"]["message"]
        assert len((await cloud.get("/servers"))["servers"]) == 1

    talk(work)


def test_security_groups_are_named_once_each_however_they_were_given(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        cloud.networks.groups = [{"id": uuid(1), "name": "web"}, {"id": uuid(2), "name": "db"}]
        groups = [{"name": "web"}, {}, {"name": "web"}, {"name": uuid(2)}]
        server = await launched(cloud, wanted(security_groups=groups))
        assert server.security_groups == ("web", "db")

    talk(work)


def test_an_address_has_one_spelling(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        long = "0000:0000:0000:0000:0000:babe:220.12.22.2"
        server = await launched(cloud, wanted(accessIPv6=long))
        assert server.access_ip_v6 == "::babe:dc0c:1602"
        changed = await cloud.ask("PUT", f"/servers/{server.id}", {"server": {"accessIPv6": long}})
        assert changed.json()["server"]["accessIPv6"] == "::babe:dc0c:1602"

    talk(work)


# -- reading ----------------------------------------------------------------------------------------------------------
VERSIONS = ("2.1", "2.2", "2.3", "2.9", "2.16", "2.19", "2.26", "2.46", "2.47", "2.63", "2.71", "2.73", "2.75", "2.90",
            "2.96", "2.98", "2.99", "2.100", "2.104")  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("token", ["alice", "admin"])
def test_one_server_is_shown_as_in_a_list(talk: Talk, version: str, token: str) -> None:
    """A kept document and a freshly rendered one are the same answer, alone or among others."""

    async def work(cloud: Cloud) -> None:
        await cloud.host()
        resting = await cloud.server(1, metadata={"a": "b"})
        moving = await cloud.server(2, metadata={"a": "b"}, action=Action.REBUILD, task_state=TaskState.REBUILDING)
        query = "?all_tenants=1" if token == "admin" else ""
        found = await cloud.get(f"/servers/detail{query}", version=version, token=token)
        for server, listed in zip((moving, resting), found["servers"], strict=True):
            shown = (await cloud.get(f"/servers/{server.id}", version=version, token=token))["server"]
            shown.pop("server_groups", None)  # shown alone only
            assert shown == listed
        assert found["servers"][0].keys() == found["servers"][1].keys()

    talk(work)


@pytest.mark.parametrize(("version", "shown"), [("2.15", False), ("2.16", True), ("2.100", True)])
def test_the_host_status_is_for_administrators(talk: Talk, version: str, shown: bool) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host()
        server = await cloud.server(1)
        nowhere = await cloud.server(2, host=None, node=None)
        path = f"/servers/{server.id}"
        assert "host_status" not in (await cloud.get(path, version=version))["server"]
        found = (await cloud.get(path, version=version, token="admin"))["server"]
        assert found.get("host_status") == ("UP" if shown else None)
        found = (await cloud.get(f"/servers/{nowhere.id}", version=version, token="admin"))["server"]
        assert found.get("host_status") == ("" if shown else None)

    talk(work)


def test_the_host_status_follows_the_service(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        service = await cloud.host()
        server = await cloud.server(1)
        lost = await cloud.server(2, host="gone", node="gone")

        async def status(server_id: str) -> str:
            return (await cloud.get(f"/servers/{server_id}", version="2.100", token="admin"))["server"]["host_status"]

        async def put(**facts: Any) -> None:
            changed = await cloud.ask("PUT", f"/os-services/{service.id}", facts, version="2.53", token="admin")
            assert changed.status == 200, changed.body

        assert (await status(server.id), await status(lost.id)) == ("UP", "UNKNOWN")
        await put(status="disabled")
        assert await status(server.id) == "MAINTENANCE"
        await put(forced_down=True)
        assert await status(server.id) == "DOWN"

    talk(work)


def test_details_of_a_fault_are_for_administrators(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        fault = Fault("No valid host was found.", NOW, details="host compute7 has no RAM")
        server = await cloud.server(1, vm_state=VmState.ERROR, fault=fault)
        for version in ("2.1", "2.53", "2.100"):
            mine = (await cloud.get(f"/servers/{server.id}", version=version))["server"]
            assert mine["fault"] == {
                "code": 500, "created": "2026-01-02T03:04:05Z", "message": "No valid host was found.",
            }  # fmt: skip
            theirs = (await cloud.get(f"/servers/{server.id}", version=version, token="admin"))["server"]
            assert theirs["fault"]["details"] == "host compute7 has no RAM"
            assert "compute7" not in str(await cloud.get("/servers/detail", version=version))

    talk(work)


def test_where_a_server_lives_is_for_administrators(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, user_data="c2VjcmV0")
        for version in ("2.1", "2.3", "2.89", "2.100"):
            assert "OS-EXT-SRV-ATTR:host" not in str(await cloud.get(f"/servers/{server.id}", version=version)).replace(
                "OS-EXT-SRV-ATTR:hostname", ""
            )
            theirs = (await cloud.get(f"/servers/{server.id}", version=version, token="admin"))["server"]
            assert theirs["OS-EXT-SRV-ATTR:host"] == "compute1"
            assert ("OS-EXT-SRV-ATTR:user_data" in theirs) == (version != "2.1")

    talk(work)


def test_links_follow_the_address_that_was_asked(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        asked = {"host": 'evil"}.example', "x-forwarded-proto": "https"}
        found = (await cloud.ask("GET", f"/servers/{server.id}", **asked)).json()["server"]
        assert found["links"][0]["href"] == f'https://evil"}}.example/v2.1/servers/{server.id}'
        found = (await cloud.get(f"/{ALICE}/servers/{server.id}"))["server"]
        assert [link["href"] for link in found["links"]] == [
            f"http://localhost/v2.1/{ALICE}/servers/{server.id}", f"http://localhost/{ALICE}/servers/{server.id}",
        ]  # fmt: skip
        foreign = await cloud.ask("GET", f"/{MALLORY}/servers")
        assert foreign.status == 400
        assert "Malformed request URL" in foreign.json()["badRequest"]["message"]

    talk(work)


def test_a_server_shows_its_group_while_that_exists(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        body = {"server_group": {"name": "g", "policy": "affinity"}}
        group = (await cloud.ask("POST", "/os-server-groups", body, version="2.64")).json()["server_group"]
        server = await cloud.server(1, server_group_id=group["id"])
        path = f"/servers/{server.id}"
        assert (await cloud.get(path, version="2.71"))["server"]["server_groups"] == [group["id"]]
        assert "server_groups" not in (await cloud.get(path, version="2.70"))["server"]
        await cloud.ask("DELETE", f"/os-server-groups/{group['id']}")
        assert (await cloud.get(path, version="2.71"))["server"]["server_groups"] == []

    talk(work)


def test_a_volume_root_is_no_image(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        disk = BlockDevice(id="d", boot_index=0, source="volume", destination="volume", volume_id=uuid(7))
        server = await cloud.server(1, image=None, block_devices=(disk,))
        return (await cloud.get(f"/servers/{server.id}"))["server"]

    found = talk(work)
    assert found["image"] == ""
    assert found["os-extended-volumes:volumes_attached"] == [{"id": uuid(7)}]


# -- changing ---------------------------------------------------------------------------------------------------------
def test_an_update_changes_what_it_names_and_nothing_else(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        before = await cloud.server(1, description="old")
        body = {"server": {"name": "new", "accessIPv4": "192.0.2.1", "accessIPv6": "fd00::7"}}
        changed = await cloud.ask("PUT", f"/servers/{before.id}", body, version="2.19")
        assert (changed.json()["server"]["name"], changed.json()["server"]["description"]) == ("new", "old")
        after = await servers.get(cloud.compute.database, before.id)
        assert (after.name, after.access_ip_v4, after.access_ip_v6, after.hostname) == (
            "new", "192.0.2.1", "fd00::7", before.hostname,
        )  # fmt: skip
        assert after.updated_at > before.updated_at
        shown = (await cloud.get(f"/servers/{before.id}"))["server"]
        assert (shown["name"], shown["accessIPv4"]) == ("new", "192.0.2.1")

    talk(work)


def test_an_update_answers_the_whole_server_from_2_75_on(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host()
        server = await cloud.server(1)
        body = {"server": {"name": "new"}}
        path = f"/servers/{server.id}"
        some = (await cloud.ask("PUT", path, body, version="2.74")).json()["server"]
        assert "OS-EXT-STS:vm_state" not in some
        assert "OS-EXT-IPS:type" not in str(some)
        assert {"locked", "tags", "description", "server_groups"} <= some.keys()
        for token in ("alice", "admin"):
            whole = (await cloud.ask("PUT", path, body, version="2.75", token=token)).json()["server"]
            assert whole == (await cloud.get(path, version="2.75", token=token))["server"]

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status"),
    [
        ("2.1", {"description": "d"}, 400),
        ("2.19", {"description": None}, 200),
        ("2.89", {"hostname": "h1"}, 400),
        ("2.90", {"hostname": "h1"}, 200),
        ("2.90", {"hostname": "h1.example.org"}, 400),
        ("2.94", {"hostname": "h1.example.org"}, 200),
        ("2.94", {"hostname": "h1..org"}, 400),
        ("2.103", {"pinned_availability_zone": None}, 400),
        ("2.104", {"pinned_availability_zone": None}, 200),
        ("2.104", {"pinned_availability_zone": "nova"}, 200),
        ("2.104", {"pinned_availability_zone": "elsewhere"}, 409),
        ("2.1", {"nope": 1}, 400),
        ("2.1", {}, 200),
    ],
)
def test_an_update_takes_what_its_version_knows(talk: Talk, version: str, facts: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> Any:
        server = await cloud.server(1)
        return await cloud.ask("PUT", f"/servers/{server.id}", {"server": facts}, version=version)

    found = talk(work)
    assert found.status == status, found.body


def test_deleting_begins_and_may_be_asked_twice(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        for _ in range(2):
            assert (await cloud.ask("DELETE", f"/servers/{server.id}")).status == 204
        shown = (await cloud.get(f"/servers/{server.id}"))["server"]
        assert shown["OS-EXT-STS:task_state"] == "deleting"
        found = await cloud.get(f"/servers/{server.id}/os-instance-actions")
        assert [action["action"] for action in found["instanceActions"]] == ["delete"]

    talk(work)


def test_nothing_there_is_404_in_the_same_words(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        for path in (f"/servers/{uuid(99)}", "/servers/nope", "/servers/%00", "/servers/" + "x" * 2000):
            found = await cloud.ask("GET", path)
            assert found.status == 404
            assert found.json()["itemNotFound"]["message"].endswith("could not be found.")

    talk(work)
