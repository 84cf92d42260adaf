"""Every flow of the cloud, begun through the public API: a scenario each, some flows several.

`tests/flows/test_registry.py` fails when a flow has none.
"""

from typing import Any

from pileus.compute.domain.server_states import PowerState, VmState
from tests.flows.stage import Scenario, Stage
from tests.holdings import Holdings

NAME = "web"


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


ACTIONS = (
    _action("stop", a_server, act("os-stop"), _OFF, _ACTIVE),
    _action("start", after("os-stop"), act("os-start"), _RUNS, is_in(VmState.STOPPED)),
    _action("reboot", a_server, act("reboot", {"type": "SOFT"}), booted(2), _ACTIVE),
    _action("reboot-hard", a_server, act("reboot", {"type": "HARD"}), booted(2), booted(1), in_error),
    _action("pause", a_server, act("pause"), _PAUSED, _ACTIVE),
    _action("unpause", after("pause"), act("unpause"), _RUNS, is_in(VmState.PAUSED)),
    _action("suspend", a_server, act("suspend"), _SUSPENDED, _ACTIVE),
    _action("resume", after("suspend"), act("resume"), _RUNS, is_in(VmState.SUSPENDED)),
    _action("password", a_server, act("changePassword", {"adminPass": "Secret-1"}), _RUNS, _RUNS),
    _action("rebuild", a_server, rebuild, is_rebuilt, _RUNS, in_error),
    _action("create-image", a_server, snapshot, _RUNS, _RUNS),
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

SCENARIOS: tuple[Scenario, ...] = (LAUNCH, DELETE, *ACTIONS, *INTERFACES)
