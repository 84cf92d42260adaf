"""What a guest is told about itself: facts in, documents by path out, for the metadata service and the config drive.

Every dated version is served, because guests pick the newest that they know and give up without one. It decides
nothing about who may ask, and it never sees a token.
Source: Compute user guide, "Metadata"; EC2 user guide, "Instance metadata categories" (which key came when).
"""

import base64
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

encode = msgspec.json.Encoder().encode

GRIZZLY, HAVANA, LIBERTY = "2013-04-04", "2013-10-17", "2015-10-15"
NEWTON_ONE, NEWTON_TWO, VICTORIA = "2016-06-30", "2016-10-06", "2020-10-14"
VERSIONS = (
    "2012-08-10", GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, "2017-02-22", "2018-08-27", VICTORIA, "latest",
)  # fmt: skip
EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04", "latest",
)  # fmt: skip


# -- facts --------------------------------------------------------------------------------------------------------
class GuestRoute(msgspec.Struct, frozen=True, kw_only=True):
    destination: str  # CIDR
    nexthop: str


class GuestAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One address of an interface, with what its subnet says."""

    address: str
    cidr: str
    gateway: str = ""
    dns_servers: tuple[str, ...] = ()
    routes: tuple[GuestRoute, ...] = ()
    by_dhcp: bool = True
    mode: str = ""  # IPv6 only: "slaac", "dhcpv6-stateful", "dhcpv6-stateless"
    floating: str = ""  # the public address that leads here


class GuestInterface(msgspec.Struct, frozen=True, kw_only=True):
    port_id: str
    network_id: str
    mac: str
    tap: str
    mtu: int | None = None
    addresses: tuple[GuestAddress, ...] = ()
    tag: str = ""


class GuestFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the user wants in the guest ("personality")."""

    path: str
    content: bytes


class GuestMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a guest may know of itself. `user_data`, `password` and `files` are the user's secrets."""

    server_id: str
    name: str
    hostname: str  # with its domain
    project_id: str
    availability_zone: str
    image_id: str = ""
    flavor_name: str = ""
    reservation_id: str = ""
    launch_index: int = 0
    key_name: str = ""
    public_key: str = ""
    key_type: str = "ssh"
    metadata: Mapping[str, str] = {}
    user_data: bytes = b""
    random_seed: bytes = b""
    password: bytes = b""  # encrypted with the user's key, as the guest left it
    files: tuple[GuestFile, ...] = ()
    interfaces: tuple[GuestInterface, ...] = ()
    security_groups: tuple[str, ...] = ()
    root_device: str = "/dev/vda"
    vendor_data: Mapping[str, Any] = {}
    dedicated_cpus: tuple[int, ...] = ()


# -- the whole ----------------------------------------------------------------------------------------------------
def documents(facts: GuestMetadata) -> dict[str, bytes]:
    """Every document of the metadata service by path, without a leading slash.

    A path that ends with a slash is the listing of that directory where it is not just the names below it.
    """
    found = dict(_openstack(facts, ""))
    for version in VERSIONS:
        if _since(version, GRIZZLY):
            found[f"openstack/{version}/password"] = facts.password
    found["openstack/"] = "\n".join(VERSIONS).encode()
    found["/"] = "\n".join(EC2_VERSIONS).encode()
    found.update(_ec2(facts))
    return found


def config_drive(facts: GuestMetadata, admin_password: str = "") -> dict[str, bytes]:
    """Every file of the config drive by path. The administrator's first password is told here and nowhere else."""
    return dict(_openstack(facts, admin_password))


def _openstack(facts: GuestMetadata, admin_password: str) -> Iterator[tuple[str, bytes]]:
    network, vendor = encode(network_data(facts)), encode(facts.vendor_data)
    vendor2 = encode({"static": facts.vendor_data} if facts.vendor_data else {})
    for version in VERSIONS:
        yield f"openstack/{version}/meta_data.json", encode(meta_data(facts, version, admin_password))
        if facts.user_data:
            yield f"openstack/{version}/user_data", facts.user_data
        if _since(version, HAVANA):
            yield f"openstack/{version}/vendor_data.json", vendor
        if _since(version, LIBERTY):
            yield f"openstack/{version}/network_data.json", network
        if _since(version, NEWTON_TWO):
            yield f"openstack/{version}/vendor_data2.json", vendor2
    for number, file in enumerate(facts.files):
        yield f"openstack/content/{number:04}", file.content


def _since(version: str, first: str) -> bool:
    """Whether `version` has what came with `first`; "latest" has everything, and sorts behind every date."""
    return version >= first


# -- meta_data.json -----------------------------------------------------------------------------------------------
def meta_data(facts: GuestMetadata, version: str, admin_password: str = "") -> dict[str, Any]:
    """The document `meta_data.json` of one version."""
    document: dict[str, Any] = {
        "uuid": facts.server_id,
        "availability_zone": facts.availability_zone,
        "hostname": facts.hostname,
        "launch_index": facts.launch_index,
        "name": facts.name,
    }
    if facts.metadata:
        document["meta"] = dict(facts.metadata)
    if admin_password:
        document["admin_pass"] = admin_password
    if facts.public_key:
        document["public_keys"] = {facts.key_name: facts.public_key}
        document["keys"] = [{"name": facts.key_name, "type": facts.key_type, "data": facts.public_key}]
    if facts.files:
        document["files"] = [
            {"content_path": f"/content/{number:04}", "path": file.path} for number, file in enumerate(facts.files)
        ]
    if facts.random_seed and _since(version, GRIZZLY):
        document["random_seed"] = base64.b64encode(facts.random_seed).decode()
    if _since(version, LIBERTY):
        document["project_id"] = facts.project_id
    if _since(version, NEWTON_ONE):
        document["devices"] = [
            {"type": "nic", "bus": "none", "address": "none", "mac": interface.mac, "tags": [interface.tag]}
            for interface in facts.interfaces
            if interface.tag
        ]
    if _since(version, VICTORIA):
        document["dedicated_cpus"] = list(facts.dedicated_cpus)
    return document


# -- network_data.json --------------------------------------------------------------------------------------------
def network_data(facts: GuestMetadata) -> dict[str, Any]:
    """The document `network_data.json`: links, the networks on them, name servers."""
    networks = [(interface, address) for interface in facts.interfaces for address in interface.addresses]
    servers = dict.fromkeys(server for _, address in networks for server in address.dns_servers)
    return {
        "links": [_link(interface) for interface in facts.interfaces],
        "networks": [_network(number, *entry) for number, entry in enumerate(networks)],
        "services": [{"type": "dns", "address": server} for server in servers],
    }


def _link(interface: GuestInterface) -> dict[str, Any]:
    return {
        "id": interface.tap,
        "vif_id": interface.port_id,
        "type": "bridge",
        "mtu": interface.mtu,
        "ethernet_mac_address": interface.mac,
    }


def _network(number: int, interface: GuestInterface, address: GuestAddress) -> dict[str, Any]:
    network = ipaddress.ip_network(address.cidr)
    document: dict[str, Any] = {
        "id": f"network{number}",
        "type": _network_type(address, network.version),
        "link": interface.tap,
        "network_id": interface.network_id,
    }
    if address.by_dhcp and network.version == 4:
        return document
    routes = [_route(route.destination, route.nexthop) for route in address.routes]
    if address.gateway:
        routes.insert(0, _route("0.0.0.0/0" if network.version == 4 else "::/0", address.gateway))
    document["ip_address"] = address.address
    document["netmask"] = str(network.netmask)
    document["routes"] = routes
    document["services"] = [{"type": "dns", "address": server} for server in address.dns_servers]
    return document


def _network_type(address: GuestAddress, version: int) -> str:
    if not address.by_dhcp:
        return f"ipv{version}"
    if version == 4:
        return "ipv4_dhcp"
    return f"ipv6_{address.mode}" if address.mode else "ipv6_dhcp"


def _route(destination: str, gateway: str) -> dict[str, str]:
    network = ipaddress.ip_network(destination)
    return {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": gateway}


# -- the EC2 tree -------------------------------------------------------------------------------------------------
def _ec2(facts: GuestMetadata) -> Iterator[tuple[str, bytes]]:
    entries = [(first, key, text.encode()) for first, key, text in _ec2_entries(facts)]
    for version in EC2_VERSIONS:
        for first, key, value in entries:
            if _since(version, first):
                yield f"{version}/meta-data/{key}", value
        if facts.public_key:
            yield f"{version}/meta-data/public-keys/", f"0={facts.key_name}".encode()
        if facts.user_data:
            yield f"{version}/user-data", facts.user_data


def _ec2_entries(facts: GuestMetadata) -> Iterator[tuple[str, str, str]]:
    """The version that a key came with, the key, its value."""
    fixed = next((address for address in _addresses_v4(facts)), None)
    yield "1.0", "ami-id", _ec2_id("ami", facts.image_id)
    yield "1.0", "ami-launch-index", str(facts.launch_index)
    yield "1.0", "ami-manifest-path", ""
    yield "1.0", "hostname", facts.hostname
    yield "1.0", "instance-id", _ec2_id("i", facts.server_id)
    yield "1.0", "local-ipv4", fixed.address if fixed is not None else ""
    yield "1.0", "reservation-id", facts.reservation_id
    yield "1.0", "security-groups", "\n".join(facts.security_groups)
    if facts.public_key:
        yield "1.0", "public-keys/0/openssh-key", facts.public_key
    yield "2007-01-19", "local-hostname", facts.hostname
    yield "2007-01-19", "public-hostname", facts.hostname
    yield "2007-01-19", "public-ipv4", fixed.floating if fixed is not None else ""
    yield "2007-08-29", "instance-type", facts.flavor_name
    yield "2007-12-15", "block-device-mapping/ami", facts.root_device.removeprefix("/dev/")
    yield "2007-12-15", "block-device-mapping/root", facts.root_device
    yield "2008-02-01", "placement/availability-zone", facts.availability_zone
    yield "2008-09-01", "instance-action", "none"


def _addresses_v4(facts: GuestMetadata) -> Iterator[GuestAddress]:
    for interface in facts.interfaces:
        yield from (address for address in interface.addresses if ":" not in address.address)


def _ec2_id(prefix: str, id: str) -> str:
    """An id in EC2's form, always the same for the same UUID; "" stays "" (a server booted from a volume)."""
    return f"{prefix}-{id.replace('-', '')[:8]}" if id else ""
