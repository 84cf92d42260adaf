"""Every flow of the cloud, begun through the public API: a scenario each, some flows several.

`tests/flows/test_registry.py` fails when a flow has none.
"""

from typing import Any

from pileus.compute.domain.server_states import PowerState, VmState
from pileus.volume.domain.volume_states import VolumeStatus
from tests.flows.stage import Scenario, Stage
from tests.holdings import Holdings

NAME, DISK = "web", "disk"


async def nothing(stage: Stage) -> None:
    """The furnished stage is enough."""


async def a_server(stage: Stage) -> None:
    await stage.launch(NAME)


def act(action: str, args: Any = None) -> Any:
    async def ask(stage: Stage) -> None:
        answer = await stage.user.act(stage.ids[NAME], action, args)
        assert answer.status in (200, 202), (answer.status, answer.body)

    return ask


def after(action: str, args: Any = None, **facts: Any) -> Any:
    """A server that has been told to do something before."""

    async def prepare(stage: Stage) -> None:
        await stage.launch(NAME, **facts)
        await act(action, args)(stage)
        await stage.user.at_rest(stage.ids[NAME])

    return prepare


def is_in(vm_state: VmState, power: PowerState | None = None) -> Any:
    """The server is in this state, and so is its guest."""

    def seen(stage: Stage, held: Holdings) -> bool:
        server, guest = held.servers.get(stage.ids[NAME]), held.guest(stage.ids[NAME])
        if server is None or server.vm_state is not vm_state:
            return False
        return guest is not None and (power is None or guest.power == power)

    return seen


def in_error(stage: Stage, held: Holdings) -> bool:
    """The server is in ERROR and says why; what it holds is still its own."""
    server = held.servers.get(stage.ids[NAME])
    return server is not None and server.vm_state is VmState.ERROR and server.fault is not None


# -- launch -----------------------------------------------------------------------------------------------------------
async def launch(stage: Stage) -> None:
    stage.ids["made"] = await stage.promise(NAME)


def is_launched(stage: Stage, held: Holdings) -> bool:
    """There is exactly one, it runs, and it has its port."""
    found = [server for server in held.servers.values() if server.name == NAME]
    return (
        len(found) == 1
        and found[0].vm_state is VmState.ACTIVE
        and len(found[0].interfaces) == 1
        and (guest := held.guest(found[0].id)) is not None
        and guest.power == PowerState.RUNNING
    )


def was_never_launched(stage: Stage, held: Holdings) -> bool:
    """Nobody has anything of it, and if it was promised, its row says what went wrong."""
    found = [server for server in held.servers.values() if server.name == NAME]
    if "made" in stage.ids and not found:
        return False
    return all(server.vm_state is VmState.ERROR and not held.of(server.id) for server in found) and not held.guests


LAUNCH = Scenario("launch", ("launch-server", "build-server"), nothing, launch, is_launched, was_never_launched)


# -- delete -----------------------------------------------------------------------------------------------------------
async def delete(stage: Stage) -> None:
    await stage.user.delete("compute", f"/servers/{stage.ids[NAME]}")


def is_gone(stage: Stage, held: Holdings) -> bool:
    server_id = stage.ids[NAME]
    return server_id not in held.servers and server_id in held.deleted and not held.of(server_id)


DELETE = Scenario("delete", ("delete-server",), a_server, delete, is_gone, is_in(VmState.ACTIVE), in_error)

# -- actions ----------------------------------------------------------------------------------------------------------
_ACTIVE = is_in(VmState.ACTIVE)
_RUNS = is_in(VmState.ACTIVE, PowerState.RUNNING)
_OFF = is_in(VmState.STOPPED, PowerState.SHUTDOWN)
_PAUSED = is_in(VmState.PAUSED, PowerState.PAUSED)
_SUSPENDED = is_in(VmState.SUSPENDED, PowerState.SUSPENDED)


def booted(times: int) -> Any:
    """It runs, and was booted at least so often."""

    def seen(stage: Stage, held: Holdings) -> bool:
        guest = held.guest(stage.ids[NAME])
        return bool(_RUNS(stage, held)) and guest is not None and guest.boots >= times

    return seen


def _action(name: str, prepare: Any, ask: Any, complete: Any, undone: Any, broken: Any = None) -> Scenario:
    facts = {"broken": broken} if broken is not None else {}
    return Scenario(name, ("act-on-server",), prepare, ask, complete, undone, **facts)


async def rebuild(stage: Stage) -> None:
    await act("rebuild", {"imageRef": stage.ids["image"], "name": NAME, "description": "rebuilt"})(stage)


def is_rebuilt(stage: Stage, held: Holdings) -> bool:
    server = held.servers[stage.ids[NAME]]
    return bool(_RUNS(stage, held)) and server.epoch == 2 and server.description == "rebuilt"


async def snapshot(stage: Stage) -> None:
    await act("createImage", {"name": "copy"})(stage)


def has_copy(is_there: bool) -> Any:
    """The server runs, and an image of it is there with its bytes, or not at all."""

    def seen(stage: Stage, held: Holdings) -> bool:
        found = [status for name, status, _ in held.images.values() if name == "copy"]
        return bool(_RUNS(stage, held)) and found == ["active"] * is_there

    return seen


ACTIONS = (
    _action("stop", a_server, act("os-stop"), _OFF, _ACTIVE),
    _action("start", after("os-stop"), act("os-start"), _RUNS, is_in(VmState.STOPPED)),
    _action("reboot", a_server, act("reboot", {"type": "SOFT"}), booted(2), _ACTIVE),
    _action("reboot-hard", a_server, act("reboot", {"type": "HARD"}), booted(2), booted(1), in_error),
    _action("pause", a_server, act("pause"), _PAUSED, _ACTIVE),
    _action("unpause", after("pause"), act("unpause"), _RUNS, is_in(VmState.PAUSED)),
    _action("suspend", a_server, act("suspend"), _SUSPENDED, _ACTIVE, _OFF),
    _action("resume", after("suspend"), act("resume"), _RUNS, is_in(VmState.SUSPENDED)),
    _action("password", a_server, act("changePassword", {"adminPass": "Secret-1"}), _RUNS, _RUNS),
    _action("rebuild", a_server, rebuild, is_rebuilt, _RUNS, in_error),
    _action("create-image", a_server, snapshot, has_copy(True), has_copy(False)),
)


# -- interfaces -------------------------------------------------------------------------------------------------------
def interfaces(count: int) -> Any:
    """The server runs with so many interfaces, each with its port and its tap (the judge compares them)."""

    def seen(stage: Stage, held: Holdings) -> bool:
        server, guest = held.servers.get(stage.ids[NAME]), held.guest(stage.ids[NAME])
        if server is None or guest is None or server.vm_state is not VmState.ACTIVE:
            return False
        return len(server.interfaces) == len(guest.ports) == count

    return seen


async def attach_interface(stage: Stage) -> None:
    body = {"interfaceAttachment": {"net_id": stage.ids["network"]}}
    await stage.user.request("compute", "POST", f"/servers/{stage.ids[NAME]}/os-interface", body)


async def a_server_and_a_port(stage: Stage) -> None:
    await stage.launch(NAME)
    stage.ids["port"] = await stage.user.create_port(stage.ids["network"], name="mine")


async def attach_port(stage: Stage) -> None:
    body = {"interfaceAttachment": {"port_id": stage.ids["port"]}}
    await stage.user.request("compute", "POST", f"/servers/{stage.ids[NAME]}/os-interface", body)


def with_port(is_attached: bool) -> Any:
    """The user's own port exists, and is the server's or free."""

    def seen(stage: Stage, held: Holdings) -> bool:
        port = held.ports.get(stage.ids["port"])
        if port is None or (port["device_id"] == stage.ids[NAME]) is not is_attached:
            return False
        return (port["host"] != "") is is_attached and bool(interfaces(1 + is_attached)(stage, held))

    return seen


async def a_server_with_a_port(stage: Stage) -> None:
    await a_server_and_a_port(stage)
    await attach_port(stage)


async def detach_interface(stage: Stage) -> None:
    held = stage.held()
    port_id = held.servers[stage.ids[NAME]].interfaces[0].port_id
    await stage.user.request("compute", "DELETE", f"/servers/{stage.ids[NAME]}/os-interface/{port_id}")


async def detach_port(stage: Stage) -> None:
    path = f"/servers/{stage.ids[NAME]}/os-interface/{stage.ids['port']}"
    await stage.user.request("compute", "DELETE", path)


INTERFACES = (
    Scenario("attach-interface", ("attach-interface",), a_server, attach_interface, interfaces(2), interfaces(1)),
    Scenario("attach-port", ("attach-interface",), a_server_and_a_port, attach_port, with_port(True), with_port(False)),
    Scenario("detach-interface", ("detach-interface",), a_server, detach_interface, interfaces(0), interfaces(1)),
    Scenario(
        "detach-port", ("detach-interface",), a_server_with_a_port, detach_port, with_port(False), with_port(True)
    ),
)


# -- volumes ----------------------------------------------------------------------------------------------------------
def volume(status: VolumeStatus, size_gib: int = 1) -> Any:
    """The volume is there, with its data, at this status and size."""

    def seen(stage: Stage, held: Holdings) -> bool:
        found = [one for one in held.volumes.values() if one.name == DISK]
        if [(one.status, one.size_gib) for one in found] != [(status, size_gib)]:
            return False
        return found[0].id in held.data and held.data[found[0].id].size_gib == size_gib

    return seen


async def a_volume(stage: Stage) -> None:
    stage.ids[DISK] = await stage.user.create_volume(DISK)
    await stage.user.volume_at_rest(stage.ids[DISK])


async def create_volume(stage: Stage) -> None:
    stage.ids["made"] = await stage.user.create_volume(DISK)


async def create_volume_from_image(stage: Stage) -> None:
    stage.ids["made"] = await stage.user.create_volume(DISK, imageRef=stage.ids["image"])


def was_never_made(stage: Stage, held: Holdings) -> bool:
    """No data; if it was promised, its row is in error."""
    found = [one.status for one in held.volumes.values() if one.name == DISK]
    return found == [VolumeStatus.ERROR] * ("made" in stage.ids or len(found)) and not held.data


async def delete_volume(stage: Stage) -> None:
    await stage.user.delete("volume", f"/volumes/{stage.ids[DISK]}")


def volume_is_gone(stage: Stage, held: Holdings) -> bool:
    return stage.ids[DISK] not in held.volumes and stage.ids[DISK] not in held.data


def volume_in_error(stage: Stage, held: Holdings) -> bool:
    """It says that it could not be deleted, or could not grow."""
    found = held.volumes.get(stage.ids[DISK])
    return found is not None and found.status.startswith("error_")


async def extend_volume(stage: Stage) -> None:
    await stage.user.post("volume", f"/volumes/{stage.ids[DISK]}/action", {"os-extend": {"new_size": 3}})


async def create_snapshot(stage: Stage) -> None:
    body = {"snapshot": {"volume_id": stage.ids[DISK], "name": "before"}}
    stage.ids["made"] = (await stage.user.post("volume", "/snapshots", body))["snapshot"]["id"]


async def a_snapshot(stage: Stage) -> None:
    await a_volume(stage)
    await create_snapshot(stage)
    stage.ids["snapshot"] = stage.ids.pop("made")
    await stage.world.finish_flows()


async def delete_snapshot(stage: Stage) -> None:
    await stage.user.delete("volume", f"/snapshots/{stage.ids['snapshot']}")


def snapshots(*statuses: str) -> Any:
    """There are these snapshots of the volume, which is as it was."""

    def seen(stage: Stage, held: Holdings) -> bool:
        return bool(_FREE(stage, held)) and [status for _, status, _ in held.snapshots.values()] == list(statuses)

    return seen


def was_never_taken(stage: Stage, held: Holdings) -> bool:
    """No data but the volume's; a snapshot that was promised is in error."""
    promised = ["error"] * ("made" in stage.ids or len(held.snapshots))
    return bool(snapshots(*promised)(stage, held)) and set(held.data) == {stage.ids[DISK]}


async def a_server_and_a_volume(stage: Stage) -> None:
    await a_volume(stage)
    await a_server(stage)


async def a_server_with_a_volume(stage: Stage) -> None:
    await a_server_and_a_volume(stage)
    await attach_volume(stage)
    await stage.world.finish_flows()


async def attach_volume(stage: Stage) -> None:
    body = {"volumeAttachment": {"volumeId": stage.ids[DISK]}}
    await stage.user.post("compute", f"/servers/{stage.ids[NAME]}/os-volume_attachments", body)


async def detach_volume(stage: Stage) -> None:
    await stage.user.delete("compute", f"/servers/{stage.ids[NAME]}/os-volume_attachments/{stage.ids[DISK]}")


def attached(is_attached: bool) -> Any:
    """The server and its guest have the volume, and it is in use; or neither."""
    at = volume(VolumeStatus.IN_USE if is_attached else VolumeStatus.AVAILABLE)

    def seen(stage: Stage, held: Holdings) -> bool:
        guest = held.guest(stage.ids[NAME])
        return guest is not None and len(guest.volumes) == is_attached and bool(at(stage, held))

    return seen


async def launch_with_volumes(stage: Stage) -> None:
    """Boot from a volume that is made of the image and goes with the server; a volume that stays is attached."""
    disks = [
        {"boot_index": 0, "uuid": stage.ids["image"], "source_type": "image", "destination_type": "volume",
         "volume_size": 1, "delete_on_termination": True},
        {"uuid": stage.ids[DISK], "source_type": "volume", "destination_type": "volume"},
    ]  # fmt: skip
    stage.ids["made"] = await stage.promise(NAME, image="", block_device_mapping_v2=disks)


async def a_server_on_volumes(stage: Stage) -> None:
    await a_volume(stage)
    await launch_with_volumes(stage)
    stage.ids[NAME] = stage.ids.pop("made")
    await stage.user.at_rest(stage.ids[NAME])


def is_launched_on_volumes(stage: Stage, held: Holdings) -> bool:
    """Both are in use, and by nobody else."""
    used = [one.status for one in held.volumes.values()]
    return is_launched(stage, held) and used == [VolumeStatus.IN_USE] * 2


def was_never_launched_on_volumes(stage: Stage, held: Holdings) -> bool:
    """The volume that was there is there again; the one that was made is gone."""
    left = {one.id: one.status for one in held.volumes.values()}
    return was_never_launched(stage, held) and left == {stage.ids[DISK]: VolumeStatus.AVAILABLE}


def is_gone_without_volumes(stage: Stage, held: Holdings) -> bool:
    left = {one.id: one.status for one in held.volumes.values()}
    return is_gone(stage, held) and left == {stage.ids[DISK]: VolumeStatus.AVAILABLE}


def is_gone_but_for_a_volume(stage: Stage, held: Holdings) -> bool:
    """The server is gone or says what is wrong; a volume that could not be deleted says so itself."""
    left = {one.status for one in held.volumes.values()}
    return in_error(stage, held) or (is_gone(stage, held) and VolumeStatus.ERROR_DELETING in left)


_FREE = volume(VolumeStatus.AVAILABLE)
VOLUME_SCENARIOS = (
    Scenario("create-volume", ("create-volume",), nothing, create_volume, _FREE, was_never_made),
    Scenario("create-volume-from-image", ("create-volume",), nothing, create_volume_from_image, _FREE, was_never_made),
    Scenario("delete-volume", ("delete-volume",), a_volume, delete_volume, volume_is_gone, _FREE, volume_in_error),
    Scenario("create-snapshot", ("create-snapshot",), a_volume, create_snapshot, snapshots("available"),
             was_never_taken),
    Scenario("delete-snapshot", ("delete-snapshot",), a_snapshot, delete_snapshot, snapshots(), snapshots("available"),
             snapshots("error_deleting")),
    Scenario("extend-volume", ("extend-volume",), a_volume, extend_volume, volume(VolumeStatus.AVAILABLE, 3), _FREE,
             volume_in_error),
    Scenario("extend-attached-volume", ("extend-volume",), a_server_with_a_volume, extend_volume,
             volume(VolumeStatus.IN_USE, 3), volume(VolumeStatus.IN_USE), volume_in_error),
    Scenario("attach-volume", ("attach-volume",), a_server_and_a_volume, attach_volume, attached(True),
             attached(False)),
    Scenario("detach-volume", ("detach-volume",), a_server_with_a_volume, detach_volume, attached(False),
             attached(True)),
    Scenario("launch-on-volumes", ("launch-server", "build-server", "create-volume"), a_volume, launch_with_volumes,
             is_launched_on_volumes, was_never_launched_on_volumes),
    Scenario("delete-on-volumes", ("delete-server", "delete-volume"), a_server_on_volumes, delete,
             is_gone_without_volumes, is_in(VmState.ACTIVE), is_gone_but_for_a_volume),
)  # fmt: skip


# -- images -----------------------------------------------------------------------------------------------------------
async def a_staged_image(stage: Stage) -> None:
    document = {"name": "import", "disk_format": "raw", "container_format": "bare"}
    stage.ids["import"] = (await stage.user.post("image", "/images", document))["id"]
    headers = {"content-type": "application/octet-stream"}
    await stage.user.need("image", "PUT", f"/images/{stage.ids['import']}/stage", bytes(4096), headers=headers)


async def import_image(stage: Stage) -> None:
    body = {"method": {"name": "glance-direct"}}
    await stage.user.post("image", f"/images/{stage.ids['import']}/import", body)


def has_image(*statuses: str) -> Any:
    """The image is in one of these statuses; the judge counts its bytes."""

    def seen(stage: Stage, held: Holdings) -> bool:
        return held.images[stage.ids["import"]][1] in statuses

    return seen


IMPORT = Scenario("import-image", ("import-image",), a_staged_image, import_image, has_image("active"),
                  has_image("queued", "uploading"))  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (LAUNCH, DELETE, *ACTIONS, *INTERFACES, *VOLUME_SCENARIOS, IMPORT)
