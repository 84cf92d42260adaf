"""What the network wing asks of a host's wires: networks that ports can be plugged into, DHCP, and what is there.

A backend knows devices, namespaces and DHCP of one host. It knows no projects, no rights, no database. Every method
may be repeated: a call that was cut off is simply made again, and what is already so costs little.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from pileus.foundation.errors import BadRequest, Conflict, Error, Unavailable
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import NetworkPlan, PluggedPort, PortPlan

METADATA_ADDRESS = "169.254.169.254"


# -- what comes out -----------------------------------------------------------------------------------------------
class NetworkFact(msgspec.Struct, frozen=True, kw_only=True):
    """A network as the host has it, whatever anybody else believes."""

    id: str
    plan: NetworkPlan | None = None  # what it was made from; None when that is lost
    problems: tuple[str, ...] = ()  # what of it is missing or wrong: "no bridge", "dnsmasq does not run"


class PortFact(msgspec.Struct, frozen=True, kw_only=True):
    """A port as the host has it. `plan` is None when only the device is left."""

    id: str
    network_id: str
    tap: str
    plan: PortPlan | None = None
    problems: tuple[str, ...] = ()


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on a host that carries this cloud's mark, halves and leftovers included."""

    networks: tuple[NetworkFact, ...] = ()
    ports: tuple[PortFact, ...] = ()


# -- what goes wrong ----------------------------------------------------------------------------------------------
class NetworkAbsent(Conflict):
    """A port was to be plugged into a network that this host does not have yet."""

    code, message = "network.host.network-absent", "Network {network_id} is not set up on the host of port {port_id}."


class StaleBinding(Conflict):
    """The caller speaks of a binding that a newer one has made void."""

    code = "network.host.stale-binding"
    message = "Port {port_id} was bound anew: epoch {epoch} is stale, the host has {newest}."


class BadPlan(BadRequest):
    """A value that cannot be what it says, or that could mean something else to the program that reads it."""

    code, message = "network.host.bad-plan", "The {what} {value!r} cannot be used on the wire."


class BackendFailed(Error):
    """The host refused; what it said is in `log`, for the operator only."""

    code, message = "network.host.failed", "The host failed to {action}."


class BackendUnavailable(Unavailable):
    """Something this backend needs is missing on the host; the text names the mend."""

    code, message = "network.host.unavailable", "{what} Mend: {mend}"


# -- the core -----------------------------------------------------------------------------------------------------
@runtime_checkable
class NetworkBackend(Protocol):
    """The core every backend has."""

    async def open(self) -> None:
        """Find what is already there, and say what the host lacks. Raises BackendUnavailable."""

    async def close(self) -> None:
        """Let go of the host; networks, DHCP and guests go on as they are."""

    async def observe(self) -> HostFacts:
        """What is really there: how a restarted host finds its ports, what audit compares."""

    async def ensure_network(self, plan: NetworkPlan) -> None:
        """Make the network, or make it as the plan says now. Raises BadPlan, BackendUnavailable, BackendFailed."""

    async def ensure_no_network(self, network_id: str) -> None:
        """Remove the network, its ports and everything made for them; nothing there is fine."""

    async def ensure_port(self, plan: PortPlan) -> PluggedPort:
        """Plug the port. Raises NetworkAbsent, StaleBinding, BadPlan, BackendFailed."""

    async def ensure_no_port(self, port_id: str, *, epoch: int | None = None) -> None:
        """Unplug the port and forget it; nothing there is fine.

        With `epoch`, a port of a newer binding is left alone and StaleBinding raised.
        """

    def metadata_namespace(self, network_id: str) -> str:
        """The name of the network namespace where guests look for 169.254.169.254; "" where there is no wire."""


class NetworkBackendFactory(Protocol):
    """What the entry points `pileus.network_backends` name. Building a backend touches nothing; `open` does."""

    def __call__(
        self, runtime: Runtime, *, hostname: str, state_dir: Path, options: Mapping[str, object]
    ) -> NetworkBackend:
        """`state_dir` belongs to this host of this cloud alone."""


# -- names --------------------------------------------------------------------------------------------------------
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_id(what: str, value: str) -> str:
    """`value` again when it is a UUID: ids become file names and device names. Raises BadPlan."""
    if not _ID.fullmatch(value):
        raise BadPlan(what=what, value=value)
    return value


def tap_name(port_id: str) -> str:
    """The device between a guest and its network; other tools know a port by the same name."""
    return "tap" + port_id[:11]


def bridge_name(network_id: str) -> str:
    return "br-" + network_id[:11]


def dhcp_device_name(network_id: str) -> str:
    """The bridge's end of the pair of devices that leads to DHCP and metadata."""
    return "dh-" + network_id[:11]


def tunnel_name(network_id: str) -> str:
    """The device that leads from the bridge to the network's other hosts."""
    return "vx-" + network_id[:11]


def dhcp_namespace(network_id: str) -> str:
    return "pileus-dhcp-" + network_id[:12]
