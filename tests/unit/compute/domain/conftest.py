"""A server at rest for every test of decisions about servers."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.server import Server, ServerId
from pileus.compute.domain.server_states import PowerState, VmState

NOW = 1_700_000_000_000_000
RESTING_POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.RESCUED: PowerState.RUNNING,
    VmState.RESIZED: PowerState.RUNNING,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.STOPPED: PowerState.SHUTDOWN,
    VmState.SUSPENDED: PowerState.SHUTDOWN,
    VmState.SHELVED: PowerState.SHUTDOWN,
    VmState.SHELVED_OFFLOADED: PowerState.SHUTDOWN,
    VmState.SOFT_DELETED: PowerState.SHUTDOWN,
}
SMALL = Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=512, disk_gib=1)


@pytest.fixture
def make_server() -> Callable[..., Server]:
    """`make_server(vm_state, **facts)`: a server at rest on a host, once launched, with the power state of its rest."""

    def make(vm_state: VmState = VmState.ACTIVE, **facts: Any) -> Server:
        server = Server(
            id=ServerId("11111111-1111-4111-8111-111111111111"),
            name="web",
            project_id="p",
            user_id="u",
            flavor=SMALL,
            number=7,
            vm_state=vm_state,
            task_state=None,
            power_state=RESTING_POWER.get(vm_state, PowerState.NOSTATE),
            action=None,
            began_in=None,
            host="host-1",
            node="host-1",
            launched_at=NOW - 1000,
            created_at=NOW - 2000,
            updated_at=NOW - 1000,
        )
        return replace(server, **facts)

    return make
