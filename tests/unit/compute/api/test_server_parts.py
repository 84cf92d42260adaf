"""Metadata, tags, addresses, volumes, interfaces and recorded actions of servers, over HTTP."""

from typing import Any

import pytest

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.server import Interface, Server
from pileus.compute.domain.server_states import VmState
from pileus.compute.store import actions, servers
from pileus.foundation.database import Transaction
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.api.test_recorded_answers import a_port
from tests.unit.compute.cloud import NETWORK, NOW, Cloud, a_server, uuid


# -- metadata ---------------------------------------------------------------------------------------------------------
def test_metadata_are_merged_replaced_and_taken_away(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        path = f"/servers/{(await cloud.server(1, metadata={'a': '1'})).id}/metadata"
        merged = await cloud.ask("POST", path, {"metadata": {"b": "2"}})
        assert (merged.status, merged.json()) == (200, {"metadata": {"a": "1", "b": "2"}})
        assert (await cloud.ask("PUT", f"{path}/a", {"meta": {"a": "3"}})).json() == {"meta": {"a": "3"}}
        assert await cloud.get(f"{path}/a") == {"meta": {"a": "3"}}
        assert (await cloud.ask("DELETE", f"{path}/b")).status == 204
        assert await cloud.get(path) == {"metadata": {"a": "3"}}
        replaced = await cloud.ask("PUT", path, {"metadata": {"c": "4"}})
        assert (replaced.status, replaced.json()) == (200, {"metadata": {"c": "4"}})
        assert (await cloud.get(f"/servers/{uuid(1)}"))["server"]["metadata"] == {"c": "4"}

    talk(work)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nope", None, 404),
        ("DELETE", "/nope", None, 404),
        ("PUT", "/a", {"meta": {"b": "1"}}, 400),
        ("PUT", "/a", {"meta": {}}, 400),
        ("PUT", "/a", {"meta": {"a": "1", "b": "2"}}, 400),
        ("PUT", "/a", {"meta": {"a": 1}}, 400),
        ("POST", "", {"metadata": None}, 400),
        ("POST", "", {"metadata": {"k" * 256: "v"}}, 400),
        ("POST", "", {"metadata": {"k": "v" * 256}}, 400),
        ("POST", "", {"metadata": {f"k{n}": "v" for n in range(129)}}, 403),
    ],
)
def test_what_metadata_cannot_be(talk: Talk, method: str, path: str, body: Any, status: int) -> None:
    async def work(cloud: Cloud) -> int:
        server = await cloud.server(1)
        return (await cloud.ask(method, f"/servers/{server.id}/metadata{path}", body)).status

    assert talk(work) == status


@pytest.mark.parametrize(("vm_state", "status"), [(VmState.STOPPED, 200), (VmState.ERROR, 409), (VmState.RESCUED, 409)])
def test_metadata_change_in_some_states_only(talk: Talk, vm_state: VmState, status: int) -> None:
    async def work(cloud: Cloud) -> int:
        server = await cloud.server(1, vm_state=vm_state)
        return (await cloud.ask("POST", f"/servers/{server.id}/metadata", {"metadata": {"a": "b"}})).status

    assert talk(work) == status


# -- tags -------------------------------------------------------------------------------------------------------------
def test_tags_come_and_go_and_filter(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        path, version = f"/servers/{(await cloud.server(1)).id}/tags", "2.26"
        new = await cloud.ask("PUT", f"{path}/red", version=version)
        assert (new.status, new.headers["location"]) == (201, f"http://localhost/v2.1{path}/red")
        assert (await cloud.ask("PUT", f"{path}/red", version=version)).status == 204
        assert (await cloud.ask("GET", f"{path}/red", version=version)).status == 204
        assert (await cloud.ask("GET", f"{path}/blue", version=version)).status == 404
        put = await cloud.ask("PUT", path, {"tags": ["b", "a"]}, version=version)
        assert (put.status, put.json()) == (200, {"tags": ["a", "b"]})
        assert len((await cloud.get("/servers?tags=a,b", version=version))["servers"]) == 1
        assert (await cloud.ask("DELETE", f"{path}/a", version=version)).status == 204
        assert (await cloud.ask("DELETE", f"{path}/a", version=version)).status == 404
        assert (await cloud.get("/servers?tags=a", version=version))["servers"] == []
        assert (await cloud.ask("DELETE", path, version=version)).status == 204
        assert await cloud.get(path, version=version) == {"tags": []}

    talk(work)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"tags": ["x" * 61]}),
        ("", {"tags": ["a/b"]}),
        ("", {"tags": ["a,b"]}),
        ("", {"tags": [""]}),
        ("", {"tags": [1]}),
        ("", {"tags": [f"t{number}" for number in range(51)]}),
        ("/a,b", None),
        ("/" + "x" * 61, None),
    ],
)
def test_what_a_tag_cannot_be(talk: Talk, path: str, body: Any) -> None:
    async def work(cloud: Cloud) -> int:
        server = await cloud.server(1)
        return (await cloud.ask("PUT", f"/servers/{server.id}/tags{path}", body, version="2.26")).status

    assert talk(work) == 400


def test_the_fifty_first_tag_is_refused(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, tags=tuple(f"t{number}" for number in range(50)))
        refused = await cloud.ask("PUT", f"/servers/{server.id}/tags/one-more", version="2.26")
        assert refused.json()["badRequest"]["message"] == "The number of tags exceeded the per-server limit 50"

    talk(work)


# -- addresses --------------------------------------------------------------------------------------------------------
def test_addresses_by_network(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        plain = [{"version": 4, "addr": "10.0.0.1"}, {"version": 6, "addr": "fd00::1"}]
        assert await cloud.get(f"/servers/{server.id}/ips") == {"addresses": {"net1": plain}}
        assert await cloud.get(f"/servers/{server.id}/ips/net1") == {"net1": plain}
        missing = await cloud.ask("GET", f"/servers/{server.id}/ips/net2")
        assert (missing.status, missing.json()["itemNotFound"]["message"]) == (404, "Network name not found")

    talk(work)


# -- volumes ----------------------------------------------------------------------------------------------------------
DISK = BlockDevice(
    id=uuid(20), source="volume", destination="volume", volume_id=uuid(21), attachment_id=uuid(22), tag="data",
    device_name="/dev/vdb", delete_on_termination=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1", {"id", "volumeId", "serverId", "device"}),
        ("2.70", {"id", "volumeId", "serverId", "device", "tag"}),
        ("2.79", {"id", "volumeId", "serverId", "device", "tag", "delete_on_termination"}),
        ("2.89", {"volumeId", "serverId", "device", "tag", "delete_on_termination", "attachment_id", "bdm_uuid"}),
    ],
)
def test_an_attachment_shows_what_its_version_knows(talk: Talk, version: str, expected: set[str]) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, block_devices=(BlockDevice(id="x", source="blank", size=1), DISK))
        path = f"/servers/{server.id}/os-volume_attachments"
        listed = (await cloud.get(path, version=version))["volumeAttachments"]
        assert [set(one) for one in listed] == [expected]
        assert (await cloud.get(f"{path}/{uuid(21)}", version=version)) == {"volumeAttachment": listed[0]}
        missing = await cloud.ask("GET", f"{path}/{uuid(99)}", version=version)
        assert missing.json()["itemNotFound"]["message"] == (
            f"Instance {server.id} is not attached to volume {uuid(99)}"
        )

    talk(work)


def test_a_volume_is_attached_and_answered_by_version(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        cloud.volumes.known = {uuid(n): {"id": uuid(n), "status": "available", "size": 1} for n in (31, 32)}
        server = await cloud.server(1)
        path = f"/servers/{server.id}/os-volume_attachments"
        body = {"volumeAttachment": {"volumeId": uuid(31), "device": "/dev/vdz", "tag": "t"}}
        old = await cloud.ask("POST", path, body, version="2.49")
        assert old.status == 200, old.body
        assert old.json()["volumeAttachment"]["device"] == "/dev/vda"  # a guest names its disks by itself
        twice = await cloud.ask("POST", path, body, version="2.49")
        assert twice.status == 400
        body = {"volumeAttachment": {"volumeId": uuid(32), "delete_on_termination": True}}
        new = await cloud.ask("POST", path, body, version="2.101")
        assert (new.status, new.body) == (202, b"")
        listed = (await cloud.get(path, version="2.79"))["volumeAttachments"]
        assert [(one["volumeId"], one["tag"], one["delete_on_termination"]) for one in listed] == [
            (uuid(31), "t", False), (uuid(32), None, True),
        ]  # fmt: skip

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status"),
    [
        ("2.1", {"volumeId": uuid(99)}, 404),
        ("2.1", {"volumeId": "vol"}, 400),
        ("2.1", {}, 400),
        ("2.48", {"volumeId": uuid(31), "tag": "t"}, 400),
        ("2.78", {"volumeId": uuid(31), "delete_on_termination": True}, 400),
        ("2.1", {"volumeId": uuid(31), "device": "vdb"}, 400),
        ("2.1", {"volumeId": uuid(33)}, 400),  # in use
    ],
)
def test_what_cannot_be_attached(talk: Talk, version: str, facts: dict[str, Any], status: int) -> None:
    async def work(cloud: Cloud) -> int:
        cloud.volumes.known = {
            uuid(31): {"id": uuid(31), "status": "available", "size": 1},
            uuid(33): {"id": uuid(33), "status": "in-use", "size": 1},
        }
        server = await cloud.server(1)
        path = f"/servers/{server.id}/os-volume_attachments"
        return (await cloud.ask("POST", path, {"volumeAttachment": facts}, version=version)).status

    assert talk(work) == status


def test_a_volume_is_detached_but_not_the_root(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        root = BlockDevice(id="r", boot_index=0, source="volume", destination="volume", volume_id=uuid(40))
        server = await cloud.server(1, block_devices=(root, DISK))
        path = f"/servers/{server.id}/os-volume_attachments"
        assert (await cloud.ask("DELETE", f"{path}/{uuid(21)}")).status == 202
        assert (await cloud.ask("DELETE", f"{path}/{uuid(99)}")).status == 404
        refused = await cloud.ask("DELETE", f"{path}/{uuid(40)}")
        assert (refused.status, refused.json()["badRequest"]["message"]) == (400, "Cannot detach a root device volume")

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "token", "status"),
    [
        ("2.85", {"volumeId": uuid(21), "delete_on_termination": False}, "alice", 202),
        ("2.85", {"volumeId": uuid(21), "device": "/dev/vdb", "tag": "data"}, "alice", 202),
        ("2.85", {"volumeId": uuid(21), "device": "/dev/vdc"}, "alice", 400),
        ("2.84", {"volumeId": uuid(21), "delete_on_termination": False}, "alice", 400),
        ("2.85", {"volumeId": uuid(22)}, "alice", 403),
        ("2.85", {"volumeId": uuid(22)}, "admin", 400),
    ],
)
def test_an_attachment_changes_only_whether_the_volume_goes(
    talk: Talk, version: str, facts: dict[str, Any], token: str, status: int
) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, block_devices=(DISK,))
        path = f"/servers/{server.id}/os-volume_attachments/{uuid(21)}"
        found = await cloud.ask("PUT", path, {"volumeAttachment": facts}, version=version, token=token)
        assert found.status == status, found.body
        after = await servers.get(cloud.compute.database, server.id)
        assert after.block_devices[0].delete_on_termination == (
            facts.get("delete_on_termination", True) if status == 202 else True
        )

    talk(work)


# -- interfaces -------------------------------------------------------------------------------------------------------
def test_interfaces_are_shown_as_the_network_service_has_them(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        interface = a_server(1).interfaces[0]
        tagged = Interface(
            port_id=interface.port_id, network_id=NETWORK, network_name="net1", mac=interface.mac, tag="front"
        )
        server = await cloud.server(1, interfaces=(tagged,))
        cloud.networks.ports.append(a_port(server))
        path = f"/servers/{server.id}/os-interface"
        expected = {
            "net_id": NETWORK, "port_id": interface.port_id, "mac_addr": interface.mac, "port_state": "DOWN",
            "fixed_ips": [{"subnet_id": NETWORK, "ip_address": "10.77.0.211"}],
        }  # fmt: skip
        assert await cloud.get(path) == {"interfaceAttachments": [expected]}
        one = await cloud.get(f"{path}/{interface.port_id}", version="2.70")
        assert one == {"interfaceAttachment": expected | {"tag": "front"}}
        missing = await cloud.ask("GET", f"{path}/{uuid(99)}")
        assert missing.json()["itemNotFound"]["message"] == f"Port id {uuid(99)} could not be found."

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "complaint"),
    [
        ("2.1", {"net_id": uuid(1), "port_id": uuid(2)}, "Must not input both network_id and port_id"),
        ("2.1", {"fixed_ips": [{"ip_address": "10.0.0.5"}]}, "Must input network_id when request IP address"),
        ("2.1", {"fixed_ips": [{"ip_address": "ten"}], "net_id": uuid(1)}, "'ten'"),
        ("2.48", {"net_id": uuid(1), "tag": "t"}, "'tag' was unexpected"),
        ("2.1", {"net_id": "net"}, "is not a 'uuid'"),
    ],
)
def test_what_interface_cannot_be_asked_for(talk: Talk, version: str, facts: dict[str, Any], complaint: str) -> None:
    async def work(cloud: Cloud) -> Any:
        server = await cloud.server(1)
        body = {"interfaceAttachment": facts}
        return await cloud.ask("POST", f"/servers/{server.id}/os-interface", body, version=version)

    found = talk(work)
    assert found.status == 400, found.body
    assert complaint in found.json()["badRequest"]["message"]


# -- recorded actions -------------------------------------------------------------------------------------------------
async def a_failed_stop(cloud: Cloud) -> tuple[Server, str]:
    """A server whose stop failed on its host; returns it with the request's id."""
    server = await cloud.server(1)
    stopped = await cloud.act(server, "os-stop")
    request_id = stopped.headers["x-openstack-request-id"]

    async def end(tx: Transaction) -> None:
        await actions.end_event(
            tx, server.id, request_id, "compute_stop_instance", now=cloud.compute.runtime.now(), error="no power"
        )

    await cloud.transact(end)
    return server, request_id


@pytest.mark.parametrize(
    ("version", "token", "shown"),
    [
        ("2.50", "alice", None),
        ("2.50", "admin", {"traceback"}),
        ("2.51", "alice", set()),
        ("2.61", "admin", {"traceback"}),
        ("2.62", "alice", {"hostId"}),
        ("2.62", "admin", {"hostId", "host", "traceback"}),
        ("2.84", "alice", {"hostId"}),
        ("2.84", "admin", {"hostId", "host", "traceback", "details"}),
    ],
)
def test_events_tell_more_with_later_versions(talk: Talk, version: str, token: str, shown: set[str] | None) -> None:
    async def work(cloud: Cloud) -> None:
        server, request_id = await a_failed_stop(cloud)
        path = f"/servers/{server.id}/os-instance-actions/{request_id}"
        action = (await cloud.get(path, version=version, token=token))["instanceAction"]
        assert (action["action"], action["message"], action["user_id"]) == ("stop", "Error", "u-alice")
        assert ("updated_at" in action) == (version >= "2.58")
        if shown is None:
            assert "events" not in action
            return
        (event,) = action["events"]
        assert set(event) == {"event", "start_time", "finish_time", "result"} | shown
        assert (event["event"], event["result"]) == ("compute_stop_instance", "Error")
        assert event.get("details", "no power") == "no power"
        assert event.get("host", "compute1") == "compute1"

    talk(work)


def test_actions_come_in_pages_from_2_58(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        for action in ("lock", "unlock", "lock"):
            await cloud.act(server, action)
        path = f"/servers/{server.id}/os-instance-actions"
        assert [one["action"] for one in (await cloud.get(path))["instanceActions"]] == ["lock", "unlock", "lock"]
        seen: list[str] = []
        query = "?limit=2"
        while query:
            found = await cloud.get(path + query, version="2.58")
            seen += [one["action"] for one in found["instanceActions"]]
            query = "?" + found["links"][0]["href"].rpartition("?")[2] if "links" in found else ""
        assert seen == ["lock", "unlock", "lock"]
        assert (await cloud.ask("GET", f"{path}?marker=req-none", version="2.58")).status == 400
        assert (await cloud.get(f"{path}?changes-since=2999-01-01", version="2.58"))["instanceActions"] == []
        assert (await cloud.get(f"{path}?changes-before=2020-01-01", version="2.66"))["instanceActions"] == []
        assert (await cloud.ask("GET", f"{path}?changes-before=2020-01-01", version="2.65")).status == 400
        assert (await cloud.ask("GET", f"{path}/req-none")).status == 404

    talk(work)


def test_actions_of_a_deleted_server_are_read_from_2_21(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        await cloud.act(server, "lock")
        await cloud.act(server, "unlock")
        now = await servers.get(cloud.compute.database, server.id)
        await cloud.transact(lambda tx: servers.bury(tx, now, now, host=None))
        path = f"/servers/{server.id}/os-instance-actions"
        assert (await cloud.ask("GET", path, version="2.20")).status == 404
        assert len((await cloud.get(path, version="2.21"))["instanceActions"]) == 2
        assert (await cloud.ask("GET", path, version="2.21", token="mallory")).status == 404

    talk(work)


def test_a_console_nobody_serves_is_named(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        refused = await cloud.ask("POST", f"/servers/{server.id}/remote-consoles", body, version="2.6")
        assert (refused.status, refused.json()["badRequest"]["message"]) == (400, "Unavailable console type novnc.")
        wrong = {"remote_console": {"protocol": "mks", "type": "webmks"}}
        assert (await cloud.ask("POST", f"/servers/{server.id}/remote-consoles", wrong, version="2.7")).status == 400

    talk(work)


def test_times_are_written_with_microseconds(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        server = await cloud.server(1, launched_at=NOW + 7)
        return (await cloud.get(f"/servers/{server.id}"))["server"]

    assert talk(work)["OS-SRV-USG:launched_at"] == "2026-01-02T03:04:05.000007"
