"""What a host does for each action on a server: a table, and one short function each. All may be repeated."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from pileus.compute.domain.errors import ActionNotSupported
from pileus.compute.domain.server_states import Action
from pileus.compute.drivers.base import Pauses, PowerState, SetsPassword, Snapshots, Suspends
from pileus.compute.host.building import build_again
from pileus.compute.host.services import HostServices
from pileus.foundation import errors
from pileus.foundation.http.authority import Authority
from pileus.foundation.trace import Trace

Args = dict[str, Any]
Done = dict[str, Any]
Do = Callable[[HostServices, str, Args], Awaitable[Done]]

STOP_TIMEOUT_S = 60.0


async def start(host: HostServices, server_id: str, args: Args) -> Done:
    await host.hypervisor.start(server_id)
    return _power(PowerState.RUNNING)


async def stop(host: HostServices, server_id: str, args: Args) -> Done:
    await host.hypervisor.stop(server_id, timeout_s=STOP_TIMEOUT_S)
    return _power(PowerState.SHUTDOWN)


async def reboot_soft(host: HostServices, server_id: str, args: Args) -> Done:
    await host.hypervisor.reboot(server_id, timeout_s=STOP_TIMEOUT_S)
    return _power(PowerState.RUNNING)


async def reboot_hard(host: HostServices, server_id: str, args: Args) -> Done:
    await host.hypervisor.reboot(server_id, hard=True)
    return _power(PowerState.RUNNING)


async def pause(host: HostServices, server_id: str, args: Args) -> Done:
    await _role(host, Pauses, "pause").pause(server_id)
    return _power(PowerState.PAUSED)


async def unpause(host: HostServices, server_id: str, args: Args) -> Done:
    await _role(host, Pauses, "unpause").unpause(server_id)
    return _power(PowerState.RUNNING)


async def suspend(host: HostServices, server_id: str, args: Args) -> Done:
    await _role(host, Suspends, "suspend").suspend(server_id)
    return _power(PowerState.SUSPENDED)


async def resume(host: HostServices, server_id: str, args: Args) -> Done:
    await _role(host, Suspends, "resume").resume(server_id)
    return _power(PowerState.RUNNING)


async def change_password(host: HostServices, server_id: str, args: Args) -> Done:
    password = msgspec.json.decode(args["secret"])["password"]
    await _role(host, SetsPassword, "set the password").set_admin_password(server_id, password)
    return {}


async def create_image(host: HostServices, server_id: str, args: Args) -> Done:
    """Copy the root disk and hand the copy to the image service; an image that has its data already is left alone."""
    image_id = args["args"]["image_id"]
    authority = host.authority(msgspec.json.decode(args["secret"])["token"])
    if await _image_status(host, args["args"], authority) == "active":
        return {}
    target = host.state_dir / "snapshots" / f"{image_id}.partial"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fact = await _role(host, Snapshots, "make an image").snapshot_root(server_id, target)
        await host.images.upload(image_id, _chunks(host, Path(fact.path)), authority)
    except errors.Unavailable:
        raise
    except errors.Error:
        await host.images.delete(image_id, authority)
        raise
    finally:
        target.unlink(missing_ok=True)
    return {}


async def _image_status(host: HostServices, args: Args, authority: Authority) -> str:
    """The image's status; one that was promised and never made is made now."""
    try:
        return await host.images.status(args["image_id"], authority)
    except errors.NotFound:
        await host.images.create(args["document"], authority)
        return "queued"


async def _chunks(host: HostServices, path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while chunk := await host.runtime.in_thread(source.read, 1 << 20, pool="files"):
            yield chunk


async def rebuild(host: HostServices, server_id: str, args: Args) -> Done:
    """Build the guest anew under its new epoch: the driver removes the old one, local disks included."""
    token = msgspec.json.decode(args["secret"])["token"]
    record = Trace()
    server, _ = await host.conductor.server_data(
        server_id, epoch=args["epoch"], launch_id="", request_id="", record=record
    )
    return _power(await build_again(host, server, token, record))


def _power(state: PowerState) -> Done:
    return {"power_state": int(state)}


def _role(host: HostServices, role: Any, what: str) -> Any:
    if not isinstance(host.hypervisor, role):
        raise ActionNotSupported(action=what)
    return host.hypervisor


ACTIONS: dict[Action, Do] = {
    Action.START: start,
    Action.STOP: stop,
    Action.REBOOT_SOFT: reboot_soft,
    Action.REBOOT_HARD: reboot_hard,
    Action.PAUSE: pause,
    Action.UNPAUSE: unpause,
    Action.SUSPEND: suspend,
    Action.RESUME: resume,
    Action.CHANGE_PASSWORD: change_password,
    Action.CREATE_IMAGE: create_image,
    Action.REBUILD: rebuild,
}
