"""Actions on servers over HTTP: which are accepted when, what they leave behind."""

from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.image import Image
from pileus.compute.domain.keypair import Keypair
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import Action, PowerState, TaskState, VmState
from pileus.compute.service import host_topic
from pileus.compute.store import keypairs, servers
from pileus.foundation.bus import Delivery
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.api.test_recorded_answers import a_port, default_group
from tests.unit.compute.cloud import CIRROS, Cloud, uuid


async def stored(cloud: Cloud, server: Server) -> Server:
    return await servers.get(cloud.compute.database, server.id)


async def recorded(cloud: Cloud, server: Server) -> list[str]:
    """The server's actions, the newest first."""
    found = await cloud.get(f"/servers/{server.id}/os-instance-actions")
    return [action["action"] for action in found["instanceActions"]]


BEGUN = [
    ("os-stop", None, VmState.ACTIVE, TaskState.POWERING_OFF, "stop"),
    ("os-start", None, VmState.STOPPED, TaskState.POWERING_ON, "start"),
    ("reboot", {"type": "SOFT"}, VmState.ACTIVE, TaskState.REBOOTING, "reboot"),
    ("reboot", {"type": "hard"}, VmState.STOPPED, TaskState.REBOOTING_HARD, "reboot"),
    ("pause", None, VmState.ACTIVE, TaskState.PAUSING, "pause"),
    ("unpause", {}, VmState.PAUSED, TaskState.UNPAUSING, "unpause"),
    ("suspend", None, VmState.ACTIVE, TaskState.SUSPENDING, "suspend"),
    ("resume", None, VmState.SUSPENDED, TaskState.RESUMING, "resume"),
    ("changePassword", {"adminPass": "p"}, VmState.ACTIVE, TaskState.UPDATING_PASSWORD, "changePassword"),
    ("rebuild", {"imageRef": CIRROS}, VmState.ACTIVE, TaskState.REBUILDING, "rebuild"),
    ("createImage", {"name": "i"}, VmState.ACTIVE, TaskState.IMAGE_SNAPSHOT_PENDING, "createImage"),
    ("forceDelete", None, VmState.ERROR, TaskState.DELETING, "delete"),
]


@pytest.mark.parametrize(("action", "args", "vm_state", "task_state", "name"), BEGUN)
def test_an_action_begins_and_is_recorded(
    talk: Talk, action: str, args: Any, vm_state: VmState, task_state: TaskState, name: str
) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, vm_state=vm_state)
        begun = await cloud.act(server, action, args)
        assert begun.status == 202, begun.body
        after = await stored(cloud, server)
        assert (after.vm_state, after.task_state) == (vm_state, task_state)
        assert await recorded(cloud, server) == [name]
        assert len(await cloud.compute.journal.of_subject(server.id)) == 1

    talk(work)


@pytest.mark.parametrize(("action", "args", "vm_state", "task_state", "name"), BEGUN[:-1])
def test_an_action_is_refused_where_the_state_forbids_it(
    talk: Talk, action: str, args: Any, vm_state: VmState, task_state: TaskState, name: str
) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, vm_state=VmState.RESCUED)
        refused = await cloud.act(server, action, args)
        assert refused.status == 409, refused.body
        assert refused.json()["conflictingRequest"]["message"].endswith(
            f"instance {server.id} while it is in vm_state rescued"
        )
        assert (await stored(cloud, server)).task_state is None
        assert await recorded(cloud, server) == []

    talk(work)


@pytest.mark.parametrize(("action", "args", "vm_state", "task_state", "name"), BEGUN)
def test_a_lock_refuses_its_owner_and_not_an_administrator(
    talk: Talk, action: str, args: Any, vm_state: VmState, task_state: TaskState, name: str
) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, vm_state=vm_state, locked_by="owner")
        mine = await cloud.act(server, action, args)
        if action == "createImage":  # works on locked servers
            assert mine.status == 202
            return
        assert (mine.status, mine.json()["conflictingRequest"]["message"]) == (
            409, f"Instance {server.id} is locked",
        )  # fmt: skip
        assert (await cloud.act(server, action, args, token="admin")).status == 202

    talk(work)


def test_a_locked_server_is_not_deleted_by_its_owner(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, locked_by="owner")
        assert (await cloud.ask("DELETE", f"/servers/{server.id}")).status == 409
        assert (await cloud.ask("DELETE", f"/servers/{server.id}", token="admin")).status == 204

    talk(work)


@pytest.mark.parametrize(
    ("action", "args", "complaint"),
    [
        ("reboot", {}, "'type' is a required property"),
        ("reboot", {"type": "QUICK"}, "'QUICK' is not one of"),
        ("reboot", None, "reboot"),
        ("createImage", {"name": ""}, "should be non-empty"),
        ("changePassword", {"adminPass": 7}, "is not of type 'string'"),
        ("os-resetState", {"state": "sleeping"}, "'sleeping' is not one of"),
        ("os-getConsoleOutput", {"length": "all"}, "does not match"),
        ("rebuild", {"imageRef": "cirros"}, "is not a 'uuid'"),
        ("rebuild", {"imageRef": CIRROS, "nope": 1}, "'nope' was unexpected"),
    ],
)
def test_what_an_action_cannot_take_is_named(talk: Talk, action: str, args: Any, complaint: str) -> None:
    async def work(cloud: Cloud) -> Any:
        return await cloud.act(await cloud.server(1), action, args, token="admin")

    found = talk(work)
    assert found.status == 400, found.body
    assert complaint in found.json()["badRequest"]["message"]


@pytest.mark.parametrize("body", [{}, {"os-start": None, "os-stop": None}, [], "os-start", None])
def test_one_action_at_a_time(talk: Talk, body: Any) -> None:
    async def work(cloud: Cloud) -> int:
        server = await cloud.server(1)
        return (await cloud.ask("POST", f"/servers/{server.id}/action", body)).status

    assert talk(work) == 400


# -- locks ------------------------------------------------------------------------------------------------------------
def test_an_owner_locks_with_a_reason_and_unlocks(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        assert (await cloud.act(server, "lock", {"locked_reason": "busy"}, version="2.73")).status == 202
        shown = (await cloud.get(f"/servers/{server.id}", version="2.73"))["server"]
        assert (shown["locked"], shown["locked_reason"]) == (True, "busy")
        assert (await cloud.act(server, "unlock")).status == 202
        shown = (await cloud.get(f"/servers/{server.id}", version="2.73"))["server"]
        assert (shown["locked"], shown["locked_reason"]) == (False, None)
        assert await recorded(cloud, server) == ["unlock", "lock"]

    talk(work)


def test_a_reason_comes_with_2_73(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        assert (await cloud.act(server, "lock", {"locked_reason": "busy"}, version="2.72")).status == 400
        assert (await cloud.act(server, "lock", {}, version="2.72")).status == 202

    talk(work)


def test_an_administrators_lock_is_not_for_the_owner_to_open(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        await cloud.act(server, "lock", token="admin")
        refused = await cloud.act(server, "unlock")
        assert refused.status == 403
        assert "unlock:unlock_override" in refused.json()["forbidden"]["message"]
        await cloud.act(server, "lock")  # adds nothing
        assert (await stored(cloud, server)).locked_by == "admin"
        assert (await cloud.act(server, "unlock", token="admin")).status == 202

    talk(work)


# -- resetting --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("word", "vm_state"), [("error", VmState.ERROR), ("active", VmState.ACTIVE)])
def test_an_administrator_resets_the_state(talk: Talk, word: str, vm_state: VmState) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, vm_state=VmState.STOPPED, action=Action.START, task_state=TaskState.POWERING_ON)
        assert (await cloud.act(server, "os-resetState", {"state": word})).status == 403
        assert (await cloud.act(server, "os-resetState", {"state": word}, token="admin")).status == 202
        after = await stored(cloud, server)
        assert (after.vm_state, after.task_state, after.action) == (vm_state, None, None)

    talk(work)


# -- console ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("args", "lines"), [({}, None), ({"length": None}, None), ({"length": 5}, 5), ({"length": "5"}, 5),
                        ({"length": -1}, None)],
)  # fmt: skip
def test_the_console_is_read_by_lines(talk: Talk, args: dict[str, Any], lines: int | None) -> None:
    async def work(cloud: Cloud) -> None:
        asked: list[dict[str, Any]] = []

        async def console_output(delivery: Delivery) -> bytes:
            asked.append(delivery.args)
            return b"login: \xff"

        cloud.compute.bus.serve(host_topic("compute1"), {"console_output": console_output})
        server = await cloud.server(1)
        answer = await cloud.act(server, "os-getConsoleOutput", args)
        assert (answer.status, answer.json()) == (200, {"output": "login: \ufffd"})
        assert [(one["server_id"], one["lines"]) for one in asked] == [(server.id, lines)]

    talk(work)


def test_a_server_without_a_host_has_no_console(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        return await cloud.act(await cloud.server(1, host=None, node=None), "os-getConsoleOutput", {})

    found = talk(work)
    assert (found.status, found.json()["conflictingRequest"]["message"]) == (409, f"Instance {uuid(1)} is not ready")


# -- images -----------------------------------------------------------------------------------------------------------
def test_an_image_is_named_by_location_and_from_2_45_by_id(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        old = await cloud.act(await cloud.server(1), "createImage", {"name": "i", "metadata": {"a": "b"}})
        promised = cloud.images.created[0]
        assert (promised["name"], promised["a"]) == ("i", "b")
        assert (old.status, old.body) == (202, b"")
        assert old.headers["location"].startswith("http://localhost/images/")
        new = await cloud.act(await cloud.server(2), "createImage", {"name": "i"}, version="2.45")
        assert list(new.json()) == ["image_id"]
        assert "location" not in new.headers

    talk(work)


# -- rebuilding -------------------------------------------------------------------------------------------------------
def test_a_rebuild_changes_what_it_names(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        cloud.images.known[uuid(71)] = Image(id=uuid(71), name="debian")
        key = Keypair(name="k", user_id="u-alice", public_key="ssh-ed25519 AAAA", fingerprint="f")
        await cloud.transact(lambda tx: keypairs.insert(tx, key))
        server = await cloud.server(1, metadata={"a": "b"}, epoch=3)
        body = {"imageRef": uuid(71), "name": "new", "metadata": {"c": "d"}, "key_name": "k", "user_data": "Zm9v",
                "description": "d", "adminPass": "p", "hostname": "h1"}  # fmt: skip
        answer = await cloud.act(server, "rebuild", body, version="2.90")
        assert answer.status == 202, answer.body
        shown = answer.json()["server"]
        assert (shown["name"], shown["status"], shown["adminPass"]) == ("new", "REBUILD", "p")
        after = await stored(cloud, server)
        assert (after.image.id if after.image else "", after.metadata, after.public_key, after.user_data) == (
            uuid(71), {"c": "d"}, "ssh-ed25519 AAAA", "Zm9v",
        )  # fmt: skip
        assert (after.epoch, after.hostname, after.description) == (4, "h1", "d")

    talk(work)


def test_a_rebuild_answers_key_and_user_data_between_versions(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        for number, (version, shown) in enumerate(
            [
                ("2.53", set()),
                ("2.54", {"key_name"}),
                ("2.57", {"key_name", "user_data"}),
                ("2.74", {"key_name", "user_data"}),
            ],
            1,
        ):
            server = await cloud.server(number)
            rebuilt = await cloud.act(server, "rebuild", {"imageRef": CIRROS}, version=version, token="admin")
            answer = rebuilt.json()["server"]
            assert {"key_name", "user_data"} & answer.keys() == shown, version
            assert "OS-EXT-SRV-ATTR:user_data" not in answer
            assert len(answer["adminPass"]) == 12

    talk(work)


@pytest.mark.parametrize(
    ("version", "facts", "status", "complaint"),
    [
        ("2.1", {"imageRef": uuid(99)}, 400, "Can not find requested image"),
        ("2.54", {"key_name": "nope"}, 400, "Invalid key_name provided."),
        ("2.53", {"key_name": "nope"}, 400, "'key_name' was unexpected"),
        ("2.57", {"personality": []}, 400, "'personality' was unexpected"),
        ("2.57", {"user_data": "%%%"}, 400, "base 64"),
        ("2.1", {"preserve_ephemeral": True}, 400, "preserve_ephemeral"),
        ("2.1", {"metadata": {f"k{n}": "v" for n in range(129)}}, 403, "metadata items"),
    ],
)
def test_a_rebuild_is_refused_with_its_reason(
    talk: Talk, version: str, facts: dict[str, Any], status: int, complaint: str
) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        refused = await cloud.act(server, "rebuild", {"imageRef": CIRROS, **facts}, version=version)
        assert refused.status == status, refused.body
        assert complaint in next(iter(refused.json().values()))["message"]
        assert (await stored(cloud, server)).task_state is None

    talk(work)


def test_an_image_that_is_too_large_or_not_ready_is_refused(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        cloud.images.known[uuid(72)] = Image(id=uuid(72), size_bytes=5 << 30)
        cloud.images.known[uuid(73)] = Image(id=uuid(73), status="queued")
        server = await cloud.server(1)
        for image_id, words in ((uuid(72), "too small"), (uuid(73), "is not active")):
            refused = await cloud.act(server, "rebuild", {"imageRef": image_id})
            assert refused.status == 400
            assert words in refused.json()["badRequest"]["message"]

    talk(work)


def test_a_root_volume_is_not_rebuilt(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        disk = BlockDevice(id="d", boot_index=0, source="volume", destination="volume", volume_id=uuid(7))
        server = await cloud.server(1, image=None, block_devices=(disk,))
        return await cloud.act(server, "rebuild", {"imageRef": CIRROS}, version="2.93")

    assert talk(work).status == 400


# -- security groups --------------------------------------------------------------------------------------------------
def test_a_security_group_comes_to_every_port_and_leaves_it(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        web = default_group() | {"id": uuid(80), "name": "web", "security_group_rules": []}
        cloud.networks.groups += [default_group(), web]
        cloud.networks.ports += [a_port(server), a_port(server) | {"id": uuid(81)}]
        for _ in range(2):  # a second time changes nothing
            assert (await cloud.act(server, "addSecurityGroup", {"name": "web"})).status == 202
        assert [port["security_groups"][1:] for port in cloud.networks.ports] == [[uuid(80)], [uuid(80)]]
        shown = (await cloud.get(f"/servers/{server.id}"))["server"]
        assert shown["security_groups"] == [{"name": "default"}, {"name": "web"}]
        listed = await cloud.get(f"/servers/{server.id}/os-security-groups")
        assert [group["name"] for group in listed["security_groups"]] == ["default", "web"]
        assert (await cloud.act(server, "removeSecurityGroup", {"name": "web"})).status == 202
        assert (await cloud.act(server, "removeSecurityGroup", {"name": "web"})).status == 404
        shown = (await cloud.get(f"/servers/{server.id}"))["server"]
        assert shown["security_groups"] == [{"name": "default"}]

    talk(work)


def test_an_unknown_group_and_a_server_without_ports_are_404(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        assert (await cloud.act(server, "addSecurityGroup", {"name": "nope"})).status == 404
        cloud.networks.groups.append(default_group())
        assert (await cloud.act(server, "addSecurityGroup", {"name": "default"})).status == 404

    talk(work)


def test_a_decision_is_made_again_when_somebody_was_faster(talk: Talk) -> None:
    """Between reading and saving another request changes the server; neither change is lost."""

    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        transact = cloud.compute.database.transact
        meddled = False

        async def meddling(work_: Any) -> Any:
            nonlocal meddled
            if not meddled:
                meddled = True
                await cloud.ask("PUT", f"/servers/{server.id}", {"server": {"name": "faster"}})
            return await transact(work_)

        cloud.compute.database.transact = meddling  # type: ignore[method-assign]
        assert (await cloud.act(server, "lock")).status == 202
        after = await stored(cloud, server)
        assert (after.name, after.locked_by) == ("faster", "owner")

    talk(work)


def test_a_power_state_survives_a_reset(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1, power_state=PowerState.PAUSED)
        await cloud.act(server, "os-resetState", {"state": "error"}, token="admin")
        assert (await stored(cloud, server)).power_state is PowerState.PAUSED

    talk(work)


def test_a_server_never_launched_takes_no_action(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        server = replace(await cloud.server(1, launched_at=None))
        return await cloud.act(server, "os-stop")

    assert talk(work).status == 409
