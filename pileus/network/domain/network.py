"""A network: one segment that ports are plugged into."""

from collections.abc import Collection
from typing import Any

import msgspec

from pileus.network.domain.errors import (
    FlatNetworkInUse,
    InvalidInput,
    NetworkMTUSubnetConflict,
    TunnelIdInUse,
    VlanIdInUse,
)

ACTIVE = "ACTIVE"
HIDDEN = "provider:network_type"  # the first of the fields that policy may hide
MINIMUM_MTU = {4: 68, 6: 1280}
TUNNELS = ("vxlan", "gre", "geneve")
MOST_TUNNEL = (1 << 24) - 1
MOST_VLAN = 4094


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network as rows and answers hold it."""

    id: str
    name: str = ""
    tenant_id: str
    project_id: str
    admin_state_up: bool = True
    mtu: int = 1500
    status: str = ACTIVE
    subnets: tuple[str, ...] = ()
    shared: bool = False
    availability_zone_hints: tuple[str, ...] = ()
    availability_zones: tuple[str, ...] = ()
    ipv4_address_scope: str | None = None
    ipv6_address_scope: str | None = None
    is_external: bool = msgspec.field(name="router:external", default=False)
    description: str = ""
    port_security_enabled: bool = True
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 1
    network_type: str = msgspec.field(name=HIDDEN, default="vxlan")
    physical_network: str | None = msgspec.field(name="provider:physical_network", default=None)
    segmentation_id: int | None = msgspec.field(name="provider:segmentation_id", default=None)


class Segment(msgspec.Struct, frozen=True):
    """What a network is on the wire. A tunnel or VLAN without a number gets one."""

    type: str
    physical: str | None = None
    number: int | None = None


def segment_key(segment: Segment) -> str | None:
    """What no two networks may share; None for a network that lives on its host alone."""
    if segment.type == "local":
        return None
    return f"{segment.type}:{segment.physical or ''}:{'' if segment.number is None else segment.number}"


def segment_taken(segment: Segment) -> Exception:
    """The error for a segment that another network has."""
    if segment.type == "flat":
        return FlatNetworkInUse(physical=segment.physical)
    if segment.type == "vlan":
        return VlanIdInUse(number=segment.number, physical=segment.physical)
    return TunnelIdInUse(number=segment.number)


def check_segment(segment: Segment, known_physical: Collection[str]) -> None:
    """Refuse what no wire can be.

    Raises: InvalidInput (400).
    Source: Networking API reference, "Provider extended attributes".
    """
    if segment.type == "local":
        _absent("provider:physical_network", segment.physical, segment.type)
        _absent("provider:segmentation_id", segment.number, segment.type)
    elif segment.type == "flat":
        _known_physical(segment, known_physical)
        _absent("provider:segmentation_id", segment.number, segment.type)
    elif segment.type == "vlan":
        _known_physical(segment, known_physical)
        if segment.number is None:
            raise InvalidInput(reason="segmentation_id required for VLAN provider network")
        if not 1 <= segment.number <= MOST_VLAN:
            raise InvalidInput(reason=f"segmentation_id out of range (1 through {MOST_VLAN})")
    elif segment.type in TUNNELS:
        _absent("provider:physical_network", segment.physical, segment.type)
        if segment.number is not None and not 1 <= segment.number <= MOST_TUNNEL:
            raise InvalidInput(reason=f"segmentation_id out of range (1 through {MOST_TUNNEL})")
    else:
        raise InvalidInput(reason=f"network_type value '{segment.type}' not supported")


def _absent(name: str, value: Any, kind: str) -> None:
    if value is not None:
        raise InvalidInput(reason=f"{name} prohibited for {kind} provider network")


def _known_physical(segment: Segment, known: Collection[str]) -> None:
    if segment.physical is None:
        raise InvalidInput(reason=f"physical_network required for {segment.type} provider network")
    if segment.physical not in known:
        raise InvalidInput(reason=f"physical_network '{segment.physical}' unknown for {segment.type} provider network")


def check_mtu(network_id: str, mtu: int, families: Collection[int]) -> None:
    """Refuse an MTU that a subnet of the network could not live with. Raises: NetworkMTUSubnetConflict (409)."""
    least = max((MINIMUM_MTU[family] for family in families), default=MINIMUM_MTU[4])
    if mtu < least:
        raise NetworkMTUSubnetConflict(network_id=network_id, mtu=least)
