"""What is asked for when servers are launched, and the servers that come of it before anything is built."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from pileus.compute.domain.block_device import BlockDevice, with_device_names, with_ids
from pileus.compute.domain.errors import ForcedHostInvalid, HostnameInvalid, UserDataMalformed
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.network_request import AUTO, NetworkRequest, check_count
from pileus.compute.domain.server import Server, ServerId
from pileus.foundation.errors import BadRequest


class WantedPlace(Struct, frozen=True, omit_defaults=True):
    """Where a server is wanted; `is_forced` names a host or node past the scheduler's other filters."""

    zone: str | None = None
    host: str | None = None
    node: str | None = None
    is_forced: bool = False


class LaunchRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """POST /servers in the shape of the newest microversion, whatever the caller spoke."""

    name: str
    flavor_id: str
    image_id: str | None = None
    description: str | None = None
    hostname: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    networks: NetworkRequest = AUTO
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    place: WantedPlace = WantedPlace()
    block_devices_v1: tuple[dict[str, Any], ...] = ()
    block_devices_v2: tuple[dict[str, Any], ...] = ()
    scheduler_hints: dict[str, Any] = field(default_factory=dict)
    user_data: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    config_drive: bool = False
    disk_config: str = "MANUAL"
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    admin_password: str | None = None
    trusted_image_certificates: tuple[str, ...] | None = None
    min_count: int = 1
    max_count: int = 1

    def __repr__(self) -> str:
        """Names only: passwords, user data and files stay out of every log."""
        return f"LaunchRequest(name={self.name!r}, flavor_id={self.flavor_id!r}, image_id={self.image_id!r})"


class LaunchFacts(Struct, frozen=True, kw_only=True):
    """What the launch looked up for a request: the same for each of its servers."""

    project_id: str
    user_id: str
    flavor: Flavor
    image: Image | None
    block_devices: tuple[BlockDevice, ...]
    public_key: str | None = None
    server_group_id: str | None = None
    reservation_id: str = ""
    default_zone: str | None = None
    security_groups: tuple[str, ...] = ("default",)


def plan_servers(
    request: LaunchRequest, facts: LaunchFacts, *, count: int, first_number: int, now: int, new_id: Callable[[], str]
) -> list[Server]:
    """Return the servers that a request makes, all of them building and scheduling; nothing else is decided here.

    Raises: NetworkInvalid, HostnameInvalid (400).
    """
    check_count(request.networks, count)
    return [
        _server(request, facts, index=index, count=count, number=first_number + index, now=now, new_id=new_id)
        for index in range(count)
    ]


def _server(
    request: LaunchRequest,
    facts: LaunchFacts,
    *,
    index: int,
    count: int,
    number: int,
    now: int,
    new_id: Callable[[], str],
) -> Server:
    server_id = ServerId(new_id())
    name = request.name if count == 1 else f"{request.name}-{index + 1}"
    devices = with_device_names(with_ids(facts.block_devices, new_id))
    root = next((device.device_name for device in devices if device.is_root), None)
    return Server(
        id=server_id,
        name=name,
        number=number,
        project_id=facts.project_id,
        user_id=facts.user_id,
        flavor=facts.flavor,
        image=facts.image,
        action_at=now,
        availability_zone=request.place.zone or facts.default_zone,
        pinned_availability_zone=request.place.zone or facts.default_zone,
        block_devices=devices,
        description=request.description,
        hostname=_hostname(request, name, server_id, index=index, count=count),
        metadata=request.metadata,
        tags=tuple(dict.fromkeys(request.tags)),
        security_groups=request.security_groups or facts.security_groups,
        networks=request.networks,
        scheduler_hints=request.scheduler_hints,
        server_group_id=facts.server_group_id,
        key_name=request.key_name,
        public_key=facts.public_key,
        user_data=request.user_data,
        files=request.files,
        config_drive=request.config_drive,
        disk_config=request.disk_config,
        access_ip_v4=request.access_ip_v4,
        access_ip_v6=request.access_ip_v6,
        trusted_image_certificates=request.trusted_image_certificates,
        reservation_id=facts.reservation_id,
        launch_index=index,
        root_device_name=root,
        created_at=now,
        updated_at=now,
    )


def _hostname(request: LaunchRequest, name: str, server_id: str, *, index: int, count: int) -> str:
    if request.hostname is None:
        return hostname_of(name) or f"server-{server_id}"
    return check_hostname(request.hostname if count == 1 else f"{request.hostname}-{index + 1}")


_SPACING = re.compile(r"[ _.]+")
_STRANGE = re.compile(r"[^a-z0-9-]+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def hostname_of(name: str) -> str:
    """The host name that a server's name becomes: one DNS label, at most 63 characters; empty when nothing is left."""
    return _STRANGE.sub("", _SPACING.sub("-", name.lower())).strip("-")[:63].rstrip("-")


def check_user_data(user_data: str | None) -> None:
    """Refuse user data that no guest could decode. Raises: UserDataMalformed (400)."""
    if user_data is None:
        return
    try:
        base64.b64decode("".join(user_data.split()), validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise UserDataMalformed from wrong


def canonical_address(address: str) -> str:
    """One text for each address, however a request wrote it; what is no address is left to its schema."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def check_hostname(hostname: str) -> str:
    """Return a host name or FQDN that DNS would take. Raises: HostnameInvalid (400)."""
    if len(hostname) > 255 or not all(_LABEL.fullmatch(label) for label in hostname.split(".")):
        raise HostnameInvalid(hostname=hostname)
    return hostname


def read_place(zone: str | None, host: str | None = None, node: str | None = None) -> WantedPlace:
    """Return where a request wants its server: `zone`, or the administrators' zone:host:node; or (2.74) host and node.

    Raises: ForcedHostInvalid, BadRequest (400).
    """
    forced = zone is not None and ":" in zone
    if forced and (host or node):
        raise BadRequest(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are "
            "mutually exclusive."
        )
    if zone is None or not forced:
        return WantedPlace(zone or None, host or None, node or None)
    parts = zone.split(":")
    if len(parts) > 3 or not any(parts[1:]):
        raise ForcedHostInvalid(zone=zone)
    wanted = [part or None for part in parts] + [None]
    return WantedPlace(wanted[0], wanted[1], wanted[2], is_forced=True)


def group_hint(hints: Mapping[str, Any]) -> str | None:
    """The server group that the scheduler hints name: a string, or the first of a list."""
    group = hints.get("group")
    if isinstance(group, str):
        return group
    if isinstance(group, Sequence) and group:
        return str(group[0])
    return None
