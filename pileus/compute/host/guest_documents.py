"""What guests are told of themselves: metadata service and config drive, from this host's own memory.

A server's facts stay in memory from its build on. After a restart they are asked of the cloud when a guest asks, and
then stay again. What a guest leaves as its password goes to its owner through the conductor.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pileus.compute.domain import guest_metadata
from pileus.compute.domain.guest_metadata import GuestAddress, GuestFile, GuestInterface, GuestMetadata, GuestRoute
from pileus.compute.domain.server import FIXED, FLOATING, Interface, Server
from pileus.compute.peers.conductor import Conductor
from pileus.compute.peers.network import Networks, Vif
from pileus.foundation.errors import Conflict, NotFound
from pileus.foundation.http.authority import Authority, OwnToken
from pileus.foundation.runtime import Runtime

SEED_BYTES = 512


class GuestDocuments:
    """The documents of every guest on one host."""

    def __init__(
        self,
        networks: Networks,
        conductor: Conductor,
        service_token: OwnToken,
        runtime: Runtime,
        *,
        domain: str = "novalocal",
        always_config_drive: bool = False,
    ):
        self._networks = networks
        self._conductor = conductor
        self._authority = Authority(service_token)
        self._runtime = runtime
        self._domain = domain
        self._always_config_drive = always_config_drive
        self._by_address: dict[tuple[str, str], str] = {}
        self._known: dict[str, tuple[Server, list[Vif]]] = {}

    # -- what the host learns -----------------------------------------------------------------------------
    async def prepare(self, server: Server, vifs: Sequence[Vif], authority: Authority) -> dict[str, bytes] | None:
        """Remember the server; returns the config drive's files when it has one."""
        self._remember(server, vifs)
        if not (server.config_drive or self._always_config_drive):
            return None
        return guest_metadata.config_drive(await self._facts(server, vifs))

    def _remember(self, server: Server, vifs: Sequence[Vif]) -> None:
        self._known[server.id] = (server, list(vifs))
        for vif in vifs:
            self._note(server.id, vif)

    def _note(self, server_id: str, vif: Vif) -> None:
        for address in vif.addresses:
            self._by_address[vif.network_id, address.address] = server_id

    def update_metadata(self, server_id: str, metadata: dict[str, str]) -> None:
        """The user changed it."""
        if server_id in self._known:
            server, vifs = self._known[server_id]
            self._known[server_id] = (msgspec.structs.replace(server, metadata=metadata), vifs)

    def update_password(self, server_id: str, password: str) -> None:
        """The guest left one, or its owner cleared it."""
        if server_id in self._known:
            server, vifs = self._known[server_id]
            self._known[server_id] = (msgspec.structs.replace(server, guest_password=password), vifs)

    def update_interfaces(self, server_id: str, interfaces: Sequence[Interface]) -> None:
        """Addresses came or went."""
        if server_id not in self._known:
            return
        server, vifs = self._known[server_id]
        fixed = {one.port_id: tuple(a for a in one.addresses if a.kind == FIXED) for one in interfaces}
        for vif in vifs:
            self._forget_addresses(vif)
        moved = [msgspec.structs.replace(vif, addresses=fixed.get(vif.port_id, vif.addresses)) for vif in vifs]
        self._remember(msgspec.structs.replace(server, interfaces=tuple(interfaces)), moved)

    def add_vif(self, server_id: str, vif: Vif) -> None:
        """An interface came."""
        if server_id in self._known:
            self._known[server_id][1].append(vif)
            self._note(server_id, vif)

    def drop_vif(self, server_id: str, port_id: str) -> None:
        """An interface left."""
        if server_id not in self._known:
            return
        server, vifs = self._known[server_id]
        for vif in vifs:
            if vif.port_id == port_id:
                self._forget_addresses(vif)
        self._known[server_id] = (server, [vif for vif in vifs if vif.port_id != port_id])

    async def forget(self, server_id: str) -> None:
        known = self._known.pop(server_id, None)
        if known is not None:
            for vif in known[1]:
                self._forget_addresses(vif)

    def _forget_addresses(self, vif: Vif) -> None:
        for address in vif.addresses:
            self._by_address.pop((vif.network_id, address.address), None)

    # -- what guests ask ----------------------------------------------------------------------------------
    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        """Every document of the server behind an address, by path; None when there is none."""
        server_id = self._by_address.get((network_id, fixed_ip))
        if server_id is None:
            server_id = await self._look_up(network_id, fixed_ip)
        if server_id is None:
            return None
        server, vifs = self._known[server_id]
        return guest_metadata.documents(await self._facts(server, vifs))

    async def keep_password(self, network_id: str, fixed_ip: str, password: str) -> bool:
        """False when the guest has left one already."""
        server_id = self._by_address.get((network_id, fixed_ip)) or await self._look_up(network_id, fixed_ip)
        if server_id is None:
            return False
        try:
            await self._conductor.keep_password(server_id, password)
        except Conflict:
            return False
        self.update_password(server_id, password)
        return True

    async def _look_up(self, network_id: str, fixed_ip: str) -> str | None:
        """Learn again, after a restart, whose address this is."""
        server_id = await self._networks.server_at(network_id, fixed_ip, self._authority)
        if server_id is None:
            return None
        try:
            server = await self._conductor.server_facts(server_id)
        except NotFound:
            return None
        self._remember(server, await self._networks.vifs_of(server, self._authority))
        return server_id

    async def _facts(self, server: Server, vifs: Sequence[Vif]) -> GuestMetadata:
        subnets = await self._networks.subnets(vifs, self._authority)
        root = server.root_device_name or "/dev/vda"
        return GuestMetadata(
            server_id=server.id,
            name=server.name,
            hostname=f"{server.hostname}.{self._domain}" if "." not in server.hostname else server.hostname,
            project_id=server.project_id,
            availability_zone=server.availability_zone or "",
            image_id=server.image.id if server.image is not None else "",
            flavor_name=server.flavor.name,
            reservation_id=server.reservation_id,
            launch_index=server.launch_index,
            key_name=server.key_name or "",
            public_key=server.public_key or "",
            metadata=server.metadata,
            user_data=_decoded(server.user_data),
            random_seed=self._runtime.random_bytes(SEED_BYTES),
            files=tuple(GuestFile(path=path, content=_decoded(content)) for path, content in server.files),
            password=server.guest_password.encode(),
            interfaces=tuple(_interface(vif, subnets, _floating(server, vif.port_id)) for vif in vifs),
            security_groups=server.security_groups,
            root_device=root,
        )


def _decoded(text: str | None) -> bytes:
    """User data as the user wrote it; the API has checked that it is base64."""
    try:
        return base64.b64decode(text or "")
    except binascii.Error:
        return b""


def _floating(server: Server, port_id: str) -> str:
    """The first floating IP that leads to the port; empty without one."""
    known = [one.addresses for one in server.interfaces if one.port_id == port_id]
    return next((a.address for addresses in known for a in addresses if a.kind == FLOATING), "")


def _interface(vif: Vif, subnets: Mapping[str, Any], floating: str) -> GuestInterface:
    return GuestInterface(
        port_id=vif.port_id, network_id=vif.network_id, mac=vif.mac, tap=vif.tap, mtu=vif.mtu, tag=vif.tag or "",
        addresses=tuple(
            _address(address.address, subnets[address.subnet_id], floating if address.version == 4 else "")
            for address in vif.addresses
            if address.subnet_id in subnets
        ),
    )  # fmt: skip


def _address(address: str, subnet: Mapping[str, Any], floating: str) -> GuestAddress:
    return GuestAddress(
        address=address,
        cidr=subnet["cidr"],
        gateway=subnet.get("gateway_ip") or "",
        dns_servers=tuple(subnet.get("dns_nameservers") or ()),
        routes=msgspec.convert(subnet.get("host_routes") or [], tuple[GuestRoute, ...]),
        by_dhcp=bool(subnet.get("enable_dhcp")),
        mode=subnet.get("ipv6_address_mode") or "",
        floating=floating,
    )
