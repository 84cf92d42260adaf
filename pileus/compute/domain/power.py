"""What a look at a server's guest means for the server.

Source: the periodic power sync of the published states: only servers with nothing in flight; one that should run and is
off is stopped, and so is one that is stopped and runs.
"""

from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import PowerState, VmState, begin_correction

OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED, PowerState.SUSPENDED})


def follow_power(server: Server, seen: PowerState, now: int) -> Server:
    """The server after its guest was seen at a power state; with STOP as its action when it is to be stopped."""
    if server.action is not None or not _disagrees(server, seen):
        return server
    if seen is not server.power_state:
        server = changed(server, now, power_state=seen)
    return begin_correction(server, now) if must_stop(server, seen) else server


def must_stop(server: Server, seen: PowerState) -> bool:
    """Whether the guest went its own way: off under a server that should run, or on under a stopped one."""
    if server.vm_state is VmState.ACTIVE:
        return seen in OFF
    return server.vm_state is VmState.STOPPED and seen in (PowerState.RUNNING, PowerState.PAUSED)


def _disagrees(server: Server, seen: PowerState) -> bool:
    return seen is not server.power_state or must_stop(server, seen)
