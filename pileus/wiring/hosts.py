"""The parts compute-host and volume-host of a process of many: each acts with the account of its own host."""

import os

from pileus.foundation.state_directory import hold
from pileus.wiring.ground import Ground
from pileus.wiring.host import HostPart
from pileus.wiring.volume import VolumeHostPart

COMPUTE = "compute"
"""The account of hosts that were given the control plane's secrets: several fake ones of one process."""


def account_of(host: str) -> str:
    """The service account of a host, at identity and on the bus."""
    return f"host.{host}"


class ComputeHosts:
    """The hypervisor hosts of this process: one, or several fake ones."""

    def __init__(self, ground: Ground):
        base, count = ground.host_name, ground.settings.host.hosts
        names = [base] if count == 1 else [f"{base}-{number + 1}" for number in range(count)]
        places = ground.settings.state_dir / "hosts"
        self._locks = [hold(places / f"{name}.lock", f"host {name}") for name in names]
        own, known = account_of(base), ground.secrets.accounts
        account = COMPUTE if COMPUTE in known and own not in known else own
        self._hosts = [HostPart(ground, name, account=account) for name in names]
        self._begun: list[HostPart] = []

    async def start(self) -> None:
        for host in self._hosts:
            await host.start()
            self._begun.append(host)

    async def stop(self) -> None:
        for host in reversed(self._begun):
            await host.stop()
        for lock in self._locks:
            os.close(lock)


class VolumeHost(VolumeHostPart):
    """The back end of this process."""

    def __init__(self, ground: Ground):
        super().__init__(ground, host=ground.host_name, account=account_of(ground.host_name))
