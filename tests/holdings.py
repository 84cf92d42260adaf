"""What everybody in a cloud really holds, and what of it must not be: the judge of flows and histories.

It reads the files of the drivers and committed rows, and never asks a service, a journal or the cloud's own auditor.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pileus.compute.domain.server import Server
from pileus.compute.domain.server_states import PowerState, VmState
from pileus.compute.drivers.fake import FakeGuest
from pileus.compute.drivers.fake_journal import Journal
from pileus.network.domain.data_plane import PortPlan
from pileus.network.drivers.base import tap_name
from pileus.network.drivers.fake import _Record as Wire
from pileus.volume.domain.volume import Volume
from pileus.volume.domain.volume_states import HOLDS_DATA, TRANSITIONAL, AttachStatus, VolumeStatus, status_of
from pileus.volume.drivers.fake import FILE as VOLUMES
from pileus.volume.drivers.fake import Held as HeldData
from tests import databases

GUESTS = "fake-guests.journal"


@dataclass
class Holdings:
    """One moment, by everybody's own files."""

    servers: dict[str, Server] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    failed_rebuilds: set[str] = field(default_factory=set)  # servers that may have the guest from before
    guests: list[tuple[str, FakeGuest]] = field(default_factory=list)  # with their host
    taps: list[tuple[str, PortPlan]] = field(default_factory=list)  # with their host
    wired: dict[str, set[str]] = field(default_factory=dict)  # networks by host
    ports: dict[str, dict[str, Any]] = field(default_factory=dict)
    addresses: list[tuple[str, str, bytes]] = field(default_factory=list)  # port, subnet, address
    claims: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)  # by consumer and provider
    inventories: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # capacity and use
    providers: dict[str, str] = field(default_factory=dict)  # host -> provider
    volumes: dict[str, Volume] = field(default_factory=dict)
    snapshots: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # volume, status, GiB
    data: dict[str, HeldData] = field(default_factory=dict)  # what the back end has, by volume
    images: dict[str, tuple[str, str, bool]] = field(default_factory=dict)  # name, status, whether made of a server
    names: dict[str, set[str]] = field(default_factory=dict)  # ids of plain rows by kind; keypairs as "user/name"
    flows: list[dict[str, Any]] = field(default_factory=list)  # those that have not ended
    leftovers: list[str] = field(default_factory=list)  # files of work that is over

    def guest(self, server_id: str) -> FakeGuest | None:
        """The server's guest, wherever it is; two of them are a violation of their own."""
        return next((guest for _, guest in self.guests if guest.server_id == server_id), None)

    def of(self, server_id: str) -> list[str]:
        """All that anybody holds for a server, in words."""
        found = [f"guest on {host}" for host, guest in self.guests if guest.server_id == server_id]
        found += [f"port {port['id']}" for port in self.ports.values() if port["device_id"] == server_id]
        found += [
            f"attachment of volume {volume.id}"
            for volume in self.volumes.values()
            if any(attachment.server_id == server_id for attachment in volume.attachments)
        ]
        if server_id in self.claims:
            found.append(f"claim {self.claims[server_id]}")
        return found


# -- reading ----------------------------------------------------------------------------------------------------------
def holdings(state_dir: Path) -> Holdings:
    """Read everything that a state directory holds now."""
    with databases.looking_at(state_dir / "pileus.db") as look:
        return holdings_in(state_dir, look)


def holdings_in(state_dir: Path, look: databases.Look) -> Holdings:
    """The same with the rows of a database elsewhere."""
    found = Holdings()
    _read_compute(found, look)
    _read_placement(found, look)
    _read_network(found, look)
    _read_plain(found, look)
    for row in look("SELECT data FROM volume_volumes"):
        volume = msgspec.msgpack.decode(row["data"], type=Volume)
        found.volumes[volume.id] = volume
    for row in look("SELECT id, volume_id, status, size_gib FROM volume_snapshots"):
        found.snapshots[row["id"]] = (row["volume_id"], row["status"], row["size_gib"])
    for row in look("SELECT id, name, status, properties FROM image_images"):
        found.images[row["id"]] = (row["name"], row["status"], "snapshot" in row["properties"])
    for host_dir in sorted((state_dir / "hosts").glob("*")):
        _read_host(found, host_dir)
    for line in (state_dir / "volumes" / VOLUMES).read_bytes().splitlines():
        one = msgspec.json.decode(line, type=HeldData)
        found.data[one.volume_id] = one
    found.data = {volume_id: one for volume_id, one in found.data.items() if one.size_gib}
    found.leftovers = [
        str(path.relative_to(state_dir))
        for place in ("base-images", "hosts/*/snapshots", "images/*")
        for path in state_dir.glob(f"{place}/*")
        if path.name.startswith(".") or "partial" in path.name
    ]
    return found


def _read_compute(found: Holdings, look: databases.Look) -> None:
    decode = msgspec.msgpack.Decoder(Server).decode
    for row in look("SELECT data FROM compute_servers"):
        server = decode(row["data"])
        found.servers[server.id] = server
    found.deleted = {row["id"] for row in look("SELECT id FROM compute_deleted_servers")}
    failed = "SELECT server_id FROM compute_server_events WHERE name = 'compute_rebuild_instance' AND result = 'Error'"
    found.failed_rebuilds = {row["server_id"] for row in look(failed)}
    for row in look("SELECT id, host FROM compute_services WHERE name = 'nova-compute'"):
        found.providers[row["host"]] = row["id"]
    for service in ("compute", "volume", "image"):
        query = f"SELECT id, name, subject, state, error FROM {service}_flows WHERE state NOT IN ('done', 'failed')"
        found.flows += [dict(row) for row in look(query)]


def _read_plain(found: Holdings, look: databases.Look) -> None:
    queries = {
        "network": "SELECT id FROM network_networks",
        "port": "SELECT id FROM network_ports",
        "keypair": "SELECT user_id || '/' || name AS id FROM compute_keypairs",
    }
    found.names = {kind: {row["id"] for row in look(query)} for kind, query in queries.items()}


def _read_placement(found: Holdings, look: databases.Look) -> None:
    for row in look("SELECT consumer, provider, class, amount FROM placement_allocations"):
        claims = found.claims.setdefault(row["consumer"], {})
        claims.setdefault(row["provider"], {})[row["class"]] = row["amount"]
    for row in look("SELECT provider, class, capacity, used FROM placement_inventories"):
        found.inventories[row["provider"], row["class"]] = (row["capacity"], row["used"])


def _read_network(found: Holdings, look: databases.Look) -> None:
    for row in look("SELECT id, device_id, device_owner, host, network_id, document FROM network_ports"):
        document = msgspec.json.decode(row["document"])
        facts = {key: row[key] for key in ("id", "device_id", "device_owner", "host", "network_id")}
        found.ports[row["id"]] = {**document, **facts}
    for row in look("SELECT port_id, subnet_id, address FROM network_addresses"):
        found.addresses.append((row["port_id"], row["subnet_id"], row["address"]))


def guests_in(file: Path) -> list[FakeGuest]:
    """What the fake hypervisor of one host keeps in its file."""
    if not file.exists():
        return []
    with tempfile.TemporaryDirectory() as aside:  # reading a journal repairs it: read a copy
        journal = Journal(Path(shutil.copy(file, aside)), FakeGuest)
        journal.open()
        journal.close()
    return list(journal.items.values())


def _read_host(found: Holdings, host_dir: Path) -> None:
    host = host_dir.name
    found.guests += [(host, guest) for guest in guests_in(host_dir / GUESTS)]
    wires = host_dir / "fake-network"
    if not wires.exists():
        return
    networks: set[str] = set()
    taps: dict[str, PortPlan] = {}
    for line in wires.read_bytes().split(b"\n")[:-1]:
        record = msgspec.json.decode(line, type=Wire)
        networks.discard(record.id)
        taps.pop(record.id, None)
        if record.network is not None:
            networks.add(record.id)
        elif record.port is not None:
            taps[record.id] = record.port
    found.wired[host] = networks
    found.taps += [(host, tap) for tap in taps.values()]


def is_half_deleted(server: Server) -> bool:
    """A delete of it failed and says so: what it still holds goes with the next one."""
    text = server.fault.message if server.fault is not None else ""
    return server.vm_state is VmState.ERROR and text.startswith("The server could not be deleted")


# -- judging ----------------------------------------------------------------------------------------------------------
def violations(held: Holdings) -> list[str]:
    """Everything that must not be in a cloud at rest, in words."""
    return [
        *_of_servers(held), *_of_guests(held), *_of_claims(held), *_of_ports(held), *_of_taps(held),
        *_of_volumes(held), *_of_attachments(held),
        *(f"flow {flow['name']} of {flow['subject']} is {flow['state']}: {flow['error']}" for flow in held.flows),
        *(f"left over: {path}" for path in held.leftovers),
        *(f"image {i} of a server is {s}" for i, (_, s, made) in held.images.items() if made and s != "active"),
    ]  # fmt: skip


def _of_servers(held: Holdings) -> Iterator[str]:
    for server in held.servers.values():
        if server.action is not None or server.task_state is not None or server.vm_state is VmState.BUILDING:
            yield f"{server} is not at rest: {server.action}"
        if server.vm_state is VmState.ERROR and (server.fault is None or len(server.fault.message) < 10):
            yield f"{server} is in ERROR and does not say why: {server.fault}"
        if server.id in held.deleted:
            yield f"{server} exists and was deleted"


def _of_guests(held: Holdings) -> Iterator[str]:
    many = Counter(guest.server_id for _, guest in held.guests)
    yield from (f"server {server_id} has {count} guests" for server_id, count in many.items() if count > 1)
    for host, guest in held.guests:
        server = held.servers.get(guest.server_id)
        if server is None or server.host != host:
            yield f"guest on {host} of {server or guest.server_id}, which is not there"
        elif guest.epoch > server.epoch or (guest.epoch != server.epoch and server.id not in held.failed_rebuilds):
            yield f"guest of {server} has epoch {guest.epoch}, the server {server.epoch}"
        elif server.vm_state is not VmState.ERROR:
            yield from _of_guest(server, guest)
    for server in held.servers.values():
        if server.host is not None and server.vm_state is not VmState.ERROR and not many[server.id]:
            yield f"{server} has no guest"


def _of_guest(server: Server, guest: FakeGuest) -> Iterator[str]:
    if guest.power != server.power_state:
        yield f"{server} shows {server.power_state!r}, its guest is {PowerState(guest.power)!r}"
    taps = {tap_name(interface.port_id) for interface in server.interfaces}
    if set(guest.ports.values()) != taps:
        yield f"guest of {server} has ports {sorted(guest.ports)}, the server {[i.port_id for i in server.interfaces]}"
    volumes = {device.volume_id for device in server.volume_devices if not device.is_root}
    if set(guest.volumes) - {guest.root_volume} != volumes:
        yield f"guest of {server} has volumes {sorted(guest.volumes)}, the server {sorted(map(str, volumes))}"


def _of_claims(held: Holdings) -> Iterator[str]:
    sums: Counter[tuple[str, str]] = Counter()
    for consumer, by_provider in held.claims.items():
        for provider, amounts in by_provider.items():
            sums.update({(provider, name): amount for name, amount in amounts.items()})
        server = held.servers.get(consumer)
        if server is not None and server.host is None and is_half_deleted(server):
            continue
        if server is None or server.host is None or set(by_provider) != {held.providers[server.host]}:
            yield f"{server or consumer} claims {by_provider}"
    for server in held.servers.values():
        wanted = {"VCPU": server.flavor.vcpus, "MEMORY_MB": server.flavor.ram_mib}
        claimed = held.claims.get(server.id, {}).get(held.providers.get(server.host or "", ""), {})
        if server.host is not None and any(claimed.get(name) != amount for name, amount in wanted.items()):
            yield f"{server} claims {claimed}, its flavor asks for {wanted}"
    for key, (capacity, used) in held.inventories.items():
        if used != sums[key]:
            yield f"inventory {key} says {used} are used, allocations say {sums[key]}"
        if used > capacity:
            yield f"inventory {key} holds {capacity} and {used} are used"


def _of_ports(held: Holdings) -> Iterator[str]:
    for port in held.ports.values():
        if not port["device_owner"].startswith("compute:"):
            continue
        server = held.servers.get(port["device_id"])
        if server is None:
            yield f"port {port['id']} of server {port['device_id']}, which is gone"
        elif is_half_deleted(server):
            continue
        elif port["id"] not in {interface.port_id for interface in server.interfaces}:
            yield f"port {port['id']} of {server}, which does not know it"
        elif port["host"] != (server.host or ""):
            yield f"port {port['id']} of {server} is bound to {port['host']!r}"
    for server in held.servers.values():
        for interface in server.interfaces:
            port = held.ports.get(interface.port_id)
            if port is None or port["device_id"] != server.id:
                yield f"{server} has interface {interface.port_id}, and no such port is its own"
            elif [fixed["ip_address"] for fixed in port["fixed_ips"]] != [a.address for a in interface.addresses]:
                yield f"{server} shows {interface.addresses}, port {port['id']} has {port['fixed_ips']}"
    taken = Counter((subnet, address) for _, subnet, address in held.addresses)
    yield from (f"address {key} is given {count} times" for key, count in taken.items() if count > 1)
    for port_id, _, _ in held.addresses:
        if port_id not in held.ports:
            yield f"an address belongs to port {port_id}, which is gone"


def _of_taps(held: Holdings) -> Iterator[str]:
    wanted = {
        (port["host"], port["id"])
        for port in held.ports.values()
        if port["host"] and port["device_owner"].startswith("compute:")
    }
    plugged = {(host, tap.id) for host, tap in held.taps}
    yield from (f"port {port} is not plugged on {host}" for host, port in wanted - plugged)
    yield from (f"port {port} is plugged on {host} and belongs to nobody" for host, port in plugged - wanted)
    for host, networks in held.wired.items():
        needed = {held.ports[port]["network_id"] for at, port in wanted if at == host}
        yield from (f"network {network} is on {host}, where nobody needs it" for network in networks - needed)
        yield from (f"network {network} is missing on {host}" for network in needed - networks)


def _of_volumes(held: Holdings) -> Iterator[str]:
    for volume in held.volumes.values():
        name, data = f"volume {volume.id} ({volume.status})", held.data.get(volume.id)
        if volume.action is not None or volume.status in TRANSITIONAL:
            yield f"{name} is not at rest: {volume.action}"
        is_plain = not volume.status.startswith("error")
        if is_plain and volume.status is not status_of(volume.attachments):
            yield f"{name} has attachments {[one.status for one in volume.attachments]}"
        if volume.status in HOLDS_DATA and is_plain and (data is None or data.size_gib != volume.size_gib):
            yield f"{name} of {volume.size_gib} GiB has {data}"
    yield from _of_snapshots(held)
    for volume_id, data in held.data.items():
        if volume_id in held.snapshots:
            continue
        known = held.volumes.get(volume_id)
        if known is None or (known.status is VolumeStatus.ERROR and not known.attachments):
            yield f"data of volume {volume_id} ({known.status if known else 'gone'}): {data}"
        elif set(data.users) != {one.id for one in known.attachments if one.connector is not None}:
            yield f"volume {volume_id} is connected for {data.users}, not for {[one.id for one in known.attachments]}"


def _of_snapshots(held: Holdings) -> Iterator[str]:
    for snapshot_id, (volume_id, status, size_gib) in held.snapshots.items():
        data = held.data.get(snapshot_id)
        if status not in ("available", "error", "error_deleting"):
            yield f"snapshot {snapshot_id} is not at rest: {status}"
        if status == "available" and (data is None or data.size_gib != size_gib):
            yield f"snapshot {snapshot_id} of {size_gib} GiB has {data}"
        if status == "error" and data is not None:
            yield f"snapshot {snapshot_id} could not be taken and has {data}"
        if volume_id not in held.volumes:
            yield f"snapshot {snapshot_id} is of volume {volume_id}, which is gone"


def _of_attachments(held: Holdings) -> Iterator[str]:
    """Attachments and servers' devices are the same thing, seen from two sides."""
    attached = set()
    for volume in held.volumes.values():
        for one in volume.attachments:
            if one.server_id is None:
                continue
            attached.add((one.server_id, volume.id, one.id))
            server = held.servers.get(one.server_id)
            if one.status is not AttachStatus.ATTACHED:
                yield f"volume {volume.id} is {one.status} for server {one.server_id}"
            if server is not None and one.host != server.host and not is_half_deleted(server):
                yield f"volume {volume.id} is attached on {one.host}, {server} is on {server.host}"
    known = {
        (server.id, str(device.volume_id), str(device.attachment_id))
        for server in held.servers.values()
        if not is_half_deleted(server) and (server.host is not None or server.vm_state is not VmState.ERROR)
        for device in server.volume_devices
    }
    yield from (f"attachment {one} is unknown to its server" for one in attached - known if not _half(held, one[0]))
    yield from (f"device {one} of a server has no attachment" for one in known - attached)


def _half(held: Holdings, server_id: str) -> bool:
    return server_id in held.servers and is_half_deleted(held.servers[server_id])
