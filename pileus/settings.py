"""What a cloud is started with, in either shape. Every value has a default that works on a laptop.

`CloudSettings` are those of the embedded cloud; the scaled-out shape has these sections too, and more of its own
(`wiring/settings.py`). Times are in seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from pileus.foundation.config import meaning


class CloudSection(msgspec.Struct, frozen=True, kw_only=True):
    """The cloud as a whole: the same in every process of it."""

    url: Annotated[
        str,
        meaning(
            "The address at which clients, and parts that are told no other, reach every service: "
            '"https://cloud.example.org". Empty, for a cloud in one process: as each request addressed it.'
        ),
    ] = ""
    region: Annotated[str, meaning("The region that the catalog names.")] = "RegionOne"
    zone: Annotated[str, meaning("The availability zone of hosts, volumes and networks.")] = "nova"
    lease_s: Annotated[
        float, meaning("How long the work of a process that died waits until another one takes it over.")
    ] = 15.0
    heartbeat_s: Annotated[float, meaning("How often a host or another part says that it lives.")] = 10.0
    caching: Annotated[bool, meaning("Whether services remember for a moment that a token is valid.")] = True


class ListenSection(msgspec.Struct, frozen=True, kw_only=True):
    """Where this process answers, when it has a part that clients ask."""

    address: Annotated[str, meaning("The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, meaning("The port to listen on.")] = 8800


class HostSection(msgspec.Struct, frozen=True, kw_only=True):
    """The hypervisor host that this process is, when it has the part compute-host."""

    host_name: Annotated[str, meaning("What the host is called in the cloud. Empty: as the kernel names it.")] = ""
    hypervisor: Annotated[str, meaning('What runs guests: "libvirt" or "fake".')] = "libvirt"
    hypervisor_options: Annotated[dict[str, object], meaning("For the hypervisor driver.")] = {}
    tunnel_address: Annotated[
        str,
        meaning(
            "An address of this host, on a network that only hosts share, from which tenant networks reach their other "
            "hosts by VXLAN. Empty: tenant networks end at this host."
        ),
    ] = ""
    hosts: Annotated[int, meaning("How many hosts; more than one only of the fake hypervisor.")] = 1


StateDir = Annotated[Path, meaning("The directory of what this process keeps.")]


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded cloud."""

    state_dir: StateDir
    cloud: CloudSection = CloudSection()
    listen: ListenSection = ListenSection()
    host: HostSection = HostSection()
    password_cost: dict[str, int] = {}  # of argon2id: passes, memory_kib, lanes; what is not named: full strength


_SECTIONS = {"cloud": CloudSection, "listen": ListenSection, "host": HostSection}
_OTHER_NAMES = {"public_url": "url"}


def embedded(state_dir: Path, said: Mapping[str, Any]) -> CloudSettings:
    """The settings of an embedded cloud from plain names: `region`, `port`, `hosts`, `public_url` ..."""
    rest = {_OTHER_NAMES.get(name, name): value for name, value in said.items()}
    sections: dict[str, Any] = {}
    for name, section in _SECTIONS.items():
        mine = {field: rest.pop(field) for field in section.__struct_fields__ if field in rest}
        sections[name] = section(**mine)
    return CloudSettings(state_dir=state_dir, **sections, **rest)
