"""A server as the API shows it, rendered to JSON text once, when it comes to rest, instead of at every reading.

The text holds nothing that depends on who asks or when: answering is joining bytes. What depends on the caller is kept
apart or marked by bytes that JSON text never holds, since every encoder escapes control characters:

    0x01  stands in links for the address of the service
    0x02  stands in a fault where its details go, and divides the parts of `Documents.admin`

Documents are JSON objects in UTF-8 without the brace at their end, so that more fields may follow.
"""

import hashlib
from typing import Any, NamedTuple
from urllib.parse import quote

from msgspec import Raw
from msgspec.json import Encoder

from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.moments import maybe_micros, to_seconds
from pileus.compute.domain.server import Fault, Server

RENDERER = 2
"""Counted up with every change of what is rendered: documents of another number are rendered anew when read."""

ADDRESS, CUT = b"\x01", b"\x02"
PREFIX = b"/v2.1"
"""What follows the address in links that name the version."""

_encode = Encoder().encode

Version = tuple[int, int]
FIRST: Version = (2, 1)
LATEST: Version = (2, 100)
"""From here on nothing changes in a server's document."""

_SINCE: dict[str, Version] = {
    "locked": (2, 9),
    "description": (2, 19),
    "tags": (2, 26),
    "trusted_image_certificates": (2, 63),
    "locked_reason": (2, 73),
    "OS-EXT-SRV-ATTR:hostname": (2, 90),
    "pinned_availability_zone": (2, 96),
    "scheduler_hints": (2, 100),
}
"""Fields that came later, and with which microversion."""

_ADMIN_SINCE: Version = (2, 3)
_FOR_ALL_SINCE: Version = (2, 90)  # the host name; before, it is for administrators
_EMBEDDED_FLAVOR_SINCE: Version = (2, 47)
_IMAGE_PROPERTIES_SINCE: Version = (2, 98)
_HOSTNAME = "OS-EXT-SRV-ATTR:hostname"


class Documents(NamedTuple):
    """A server at rest: at the first microversion and at the latest; what only administrators see, of both.

    `admin` has three parts: what belongs to both documents, what belongs to the latest only, the details of the fault.
    """

    first: bytes
    latest: bytes
    admin: bytes


def render(server: Server) -> Documents:
    """The documents that the store keeps beside the server's row: a pure function of the server."""
    common = open_text(admin_fields(server, FIRST))
    later = {name: value for name, value in admin_fields(server, LATEST).items() if name not in _COMMON_ADMIN}
    return Documents(
        open_text(describe(server, FIRST)),
        open_text(describe(server, LATEST)),
        CUT.join((b"," + common[1:], b"," + open_text(later)[1:], fault_details(server))),
    )


def open_text(fields: dict[str, Any]) -> bytes:
    """A JSON object without the brace at its end."""
    return _encode(fields)[:-1]


def describe(server: Server, version: Version) -> dict[str, Any]:
    """The fields of a server that everybody sees who may see it, as of one microversion."""
    fields: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": host_id(server.project_id, server.host),
        "image": _image(server.image, version),
        "flavor": _flavor(server.flavor, version),
        "created": to_seconds(server.created_at),
        "updated": to_seconds(server.updated_at),
        "addresses": addresses(server),
        "accessIPv4": server.access_ip_v4,
        "accessIPv6": server.access_ip_v6,
        "links": links("servers", server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "OS-EXT-AZ:availability_zone": server.availability_zone or "",
        "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": maybe_micros(server.launched_at),
        "OS-SRV-USG:terminated_at": maybe_micros(server.terminated_at),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "os-extended-volumes:volumes_attached": _volumes(server, version),
    }
    if server.shown_progress is not None:
        fields["progress"] = server.shown_progress
    if server.interfaces and server.security_groups:
        fields["security_groups"] = [{"name": name} for name in server.security_groups]
    if server.shown_fault is not None:
        fields["fault"] = _fault(server.shown_fault)
    later = _later_fields(server)
    fields.update((name, value) for name, value in later.items() if version >= _SINCE[name])
    return fields


def _later_fields(server: Server) -> dict[str, Any]:
    return {
        "locked": server.is_locked,
        "description": server.description,
        "tags": server.tags,
        "trusted_image_certificates": server.trusted_image_certificates,
        "locked_reason": server.locked_reason,
        _HOSTNAME: server.hostname,
        "pinned_availability_zone": server.pinned_availability_zone,
        "scheduler_hints": server.scheduler_hints,
    }


_COMMON_ADMIN = frozenset(
    {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hypervisor_hostname"}
)


def admin_fields(server: Server, version: Version) -> dict[str, Any]:
    """The further fields that policy keeps for administrators."""
    fields: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:instance_name": server.instance_name,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.node,
    }
    if version < _ADMIN_SINCE:
        return fields
    if version < _FOR_ALL_SINCE:
        fields[_HOSTNAME] = server.hostname
    properties = server.image.properties if server.image is not None else {}
    return fields | {
        "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
        "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
        "OS-EXT-SRV-ATTR:kernel_id": properties.get("kernel_id", ""),
        "OS-EXT-SRV-ATTR:ramdisk_id": properties.get("ramdisk_id", ""),
        "OS-EXT-SRV-ATTR:root_device_name": server.root_device_name,
        "OS-EXT-SRV-ATTR:user_data": server.user_data,
    }


def fault_details(server: Server) -> bytes:
    """The text that stands at the cut of a fault for those who may read details; empty when there are none."""
    fault = server.shown_fault
    return b',"details":' + _encode(fault.details) if fault is not None and fault.details else b""


def addresses(server: Server, *, extended: bool = True) -> dict[str, list[dict[str, Any]]]:
    """The server's addresses by network name, with kind and MAC when `extended`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, entries in server.addresses().items():
        shown: list[dict[str, Any]] = []
        for address, mac in entries:
            entry: dict[str, Any] = {"version": address.version, "addr": address.address}
            if extended:
                entry["OS-EXT-IPS:type"] = address.kind
                entry["OS-EXT-IPS-MAC:mac_addr"] = mac
            shown.append(entry)
        found[name] = shown
    return found


def host_id(project_id: str, host: str | None) -> str:
    """A name for a host that differs for every project, so that tenants cannot map the cloud."""
    return "" if host is None else hashlib.sha224((project_id + host).encode()).hexdigest()


def links(collection: str, resource_id: str) -> Raw:
    """The links of a resource with marks where the service's address goes."""
    path = _path(collection, resource_id)
    own, plain = ADDRESS + PREFIX + path, ADDRESS + path
    return Raw(b'[{"rel":"self","href":"' + own + b'"},{"rel":"bookmark","href":"' + plain + b'"}]')


def bookmark(collection: str, resource_id: str) -> Raw:
    return Raw(b'[{"rel":"bookmark","href":"' + ADDRESS + _path(collection, resource_id) + b'"}]')


def _path(collection: str, resource_id: str) -> bytes:
    """Ids of flavors are free text: what JSON or an address would trip over is escaped."""
    return f"/{collection}/{quote(resource_id, safe='')}".encode()


def _image(image: Image | None, version: Version) -> dict[str, Any] | str:
    """An empty text for a server that boots from a volume."""
    if image is None:
        return ""
    fields: dict[str, Any] = {"id": image.id, "links": bookmark("images", image.id)}
    if version >= _IMAGE_PROPERTIES_SINCE:
        fields["properties"] = image.properties
    return fields


def _flavor(flavor: Flavor, version: Version) -> dict[str, Any]:
    if version < _EMBEDDED_FLAVOR_SINCE:
        return {"id": flavor.id, "links": bookmark("flavors", flavor.id)}
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "ephemeral": flavor.ephemeral_gib,
        "swap": flavor.swap_mib,
        "original_name": flavor.name,
        "extra_specs": flavor.extra_specs,
    }


def _volumes(server: Server, version: Version) -> list[dict[str, Any]]:
    if version < _ADMIN_SINCE:
        return [{"id": device.volume_id} for device in server.volume_devices]
    return [
        {"id": device.volume_id, "delete_on_termination": device.delete_on_termination}
        for device in server.volume_devices
    ]


def _fault(fault: Fault) -> Raw:
    shown = {"code": fault.code, "created": to_seconds(fault.created_at), "message": fault.message}
    return Raw(_encode(shown)[:-1] + CUT + b"}")
