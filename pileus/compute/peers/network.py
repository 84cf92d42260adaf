"""The network service, as compute needs it: what may be used, ports for servers, their binding to hosts."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from pileus.compute.domain.errors import (
    NetworkAmbiguous,
    NetworkNeedsSubnet,
    PortTaken,
    UnknownNetwork,
    UnknownPort,
    UnknownSecurityGroup,
)
from pileus.compute.domain.network_request import NetworkRequest, NicRequest
from pileus.compute.domain.server import FLOATING, Address, Interface, Server
from pileus.foundation import errors
from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, Peer
from pileus.foundation.trace import Trace

Steps = tuple[int, int, int]
OWNER = "compute:"  # what device_owner begins with; the availability zone follows


class Vif(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port as a host must plug it."""

    port_id: str
    network_id: str
    network_name: str
    mac: str
    mtu: int
    tap: str
    addresses: tuple[Address, ...] = ()
    is_ours: bool = True
    tag: str | None = None
    subnets: tuple[dict[str, Any], ...] = ()  # for metadata and config drive

    def interface(self) -> Interface:
        return Interface(
            port_id=self.port_id, network_id=self.network_id, network_name=self.network_name, mac=self.mac,
            addresses=self.addresses, tag=self.tag, is_ours=self.is_ours,
        )  # fmt: skip


class Networks:
    """Networks and ports in somebody's name."""

    def __init__(self, peer: Peer):
        self._peer = peer

    async def _ask(self, method: str, path: str, authority: Authority, **options: Any) -> Any:
        return await self._peer.ask(method, f"/v2.0{path}", authority=authority, **options)

    # -- before anything is promised ----------------------------------------------------------------------
    async def resolve(
        self,
        request: NetworkRequest,
        project_id: str,
        authority: Authority,
        *,
        record: Trace | None = None,
        steps: Steps = (0, 0, 0),
        sub: str = "",
    ) -> NetworkRequest:
        """Check that what is asked for exists and may be used; `auto` becomes the network it stands for.

        Raises: UnknownNetwork, UnknownPort, NetworkNeedsSubnet (400), NetworkAmbiguous, PortTaken (409).
        """
        traced = {"record": record, "steps": steps, "sub": sub}
        if request.mode == "none":
            return request
        if request.mode == "auto":
            return await self._automatic(project_id, authority, traced)
        wanted = [nic.network_id for nic in request.nics if nic.network_id is not None]
        if wanted:
            found = await self._by_id("networks", wanted, authority, traced)
            for network_id in wanted:
                if network_id not in found:
                    raise UnknownNetwork(network_id=network_id)
                if not found[network_id]["subnets"]:
                    raise NetworkNeedsSubnet(network_id=network_id)
        ports = [nic.port_id for nic in request.nics if nic.port_id is not None]
        if ports:
            known = await self._by_id("ports", ports, authority, traced)
            for port_id in ports:
                if port_id not in known:
                    raise UnknownPort(port_id=port_id)
                if known[port_id]["device_id"]:
                    raise PortTaken(port_id=port_id)
        return request

    async def _automatic(self, project_id: str, authority: Authority, traced: Mapping[str, Any]) -> NetworkRequest:
        query = {"tenant_id": project_id, "shared": "false", "fields": ["id", "subnets"]}
        found = (await self._ask("GET", "/networks", authority, query=query, **traced))["networks"]
        if not found:
            query = {"shared": "true", "fields": ["id", "subnets"]}
            found = (await self._ask("GET", "/networks", authority, query=query))["networks"]
        usable = [network for network in found if network["subnets"]]
        if len(usable) > 1:
            raise NetworkAmbiguous()
        return NetworkRequest("list", tuple(NicRequest(network["id"]) for network in usable))

    async def _by_id(
        self, kind: str, ids: Sequence[str], authority: Authority, traced: Mapping[str, Any]
    ) -> dict[str, Any]:
        query = {"id": list(dict.fromkeys(ids))}
        found = await self._ask("GET", f"/{kind}", authority, query=query, **traced)
        return {item["id"]: item for item in found[kind]}

    async def security_group_ids(self, names: Sequence[str], project_id: str, authority: Authority) -> list[str]:
        """The ids of security groups named by name or id. Raises: UnknownSecurityGroup (400)."""
        return [group["id"] for group in await self._named_groups(names, project_id, authority)]

    async def security_group_names(self, names: Sequence[str], project_id: str, authority: Authority) -> list[str]:
        """What to call security groups named by name or id: their name, or the id of one whose name is not its own.

        Raises: UnknownSecurityGroup (400).
        """
        found = await self._named_groups(names, project_id, authority)
        return [group["name"] if group["is_unique"] else group["id"] for group in found]

    async def _named_groups(self, names: Sequence[str], project_id: str, authority: Authority) -> list[dict[str, Any]]:
        query = {"tenant_id": project_id, "fields": ["id", "name"]}
        known = (await self._ask("GET", "/security-groups", authority, query=query))["security_groups"]
        count = Counter(group["name"] for group in known)
        found = []
        for name in names:
            match = next((group for group in known if name == group["id"]), None)
            match = match or next((group for group in known if name == group["name"]), None)
            if match is None:
                raise UnknownSecurityGroup(name=name, project_id=project_id)
            found.append(match | {"is_unique": count[match["name"]] == 1})
        return found

    async def security_groups(self, group_ids: Sequence[str], authority: Authority) -> list[Any]:
        """These security groups with their rules, as the network service shows them."""
        if not group_ids:
            return []
        query = {"id": list(dict.fromkeys(group_ids))}
        found = await self._ask("GET", "/security-groups", authority, query=query)
        return list(found["security_groups"])

    async def set_port_groups(self, port_id: str, group_ids: Sequence[str], authority: Authority) -> None:
        """Have exactly these security groups on a port."""
        body = {"port": {"security_groups": list(group_ids)}}
        await self._ask("PUT", f"/ports/{port_id}", authority, body=body)

    # -- ports of a server --------------------------------------------------------------------------------
    async def ensure_ports(
        self,
        server_id: str,
        request: NetworkRequest,
        *,
        project_id: str,
        host: str,
        epoch: int,
        hostname: str,
        zone: str,
        security_groups: Sequence[str],
        authority: Authority,
        known: frozenset[str] = frozenset(),
        look_first: bool = True,
        record: Trace | None = None,
        steps: Steps = (0, 0, 0),
    ) -> list[Vif]:
        """Have every wanted port, bound to `host`; repeated, the same ports are found by the server's id.

        Ports in `known` answer other wishes already. Without `look_first` the caller knows that none was made yet.
        """
        if not request.nics:
            return []
        service = Authority(authority.service)
        query = {"device_id": server_id}
        traced = {"record": record, "steps": (steps[0], steps[1], 0)}
        held: list[Any] = []
        if look_first or any(nic.port_id is not None for nic in request.nics):
            held = (await self._ask("GET", "/ports", service, query=query, **traced))["ports"]
            traced = {}
        binding = {"binding:host_id": host, "binding:profile": {"pileus_epoch": epoch}}
        groups: list[str] | None = None
        if tuple(security_groups) not in ((), ("default",)):
            groups = await self.security_group_ids(security_groups, project_id, authority)
        taken = set(known)
        ports: list[tuple[Any, NicRequest]] = []
        for nic in request.nics:
            port = _held(held, nic, taken)
            if port is None and nic.port_id is None:
                body = _new_port(server_id, nic, project_id, zone, hostname, groups) | binding
                port = (await self._ask("POST", "/ports", authority, body={"port": body}, expect=(201,), **traced))[
                    "port"
                ]
            elif port is None or port["binding:host_id"] != host or _epoch(port) != epoch:
                body = {"device_id": server_id, "device_owner": OWNER + zone} | binding
                port = await self._take(str(nic.port_id if port is None else port["id"]), server_id, body, service)
            taken.add(port["id"])
            ports.append((port, nic))
        return await self._vifs(ports, authority, record, steps)

    async def _take(self, port_id: str, server_id: str, body: dict[str, Any], service: Authority) -> Any:
        """Bind a port, if nobody else has it: two servers may have been asked to use it. Raises: PortTaken."""
        while True:
            port = (await self._ask("GET", f"/ports/{port_id}", service))["port"]
            if port["device_id"] not in ("", server_id):
                raise PortTaken(port_id=port_id)
            unchanged = {"if-match": f"revision_number={port['revision_number']}"}
            try:
                return (await self._ask("PUT", f"/ports/{port_id}", service, body={"port": body}, headers=unchanged))[
                    "port"
                ]
            except errors.PreconditionFailed:
                continue

    async def _vifs(
        self, ports: Sequence[tuple[Any, NicRequest]], authority: Authority, record: Trace | None, steps: Steps
    ) -> list[Vif]:
        ids = [port["network_id"] for port, _ in ports]
        service = Authority(authority.service)

        def describe(answer: Answer) -> dict[str, object]:
            return {
                "ports": [
                    {"id": port["id"], "mac": port["mac_address"],
                     "addresses": [fixed["ip_address"] for fixed in port["fixed_ips"]]}
                    for port, _ in ports
                ]
            }  # fmt: skip

        networks = await self._ask(
            "GET", "/networks", service, query={"id": list(dict.fromkeys(ids))},
            record=record, steps=(0, 0, steps[2]), describe=describe,
        )  # fmt: skip
        by_id = {network["id"]: network for network in networks["networks"]}
        return [_vif(port, by_id[port["network_id"]], nic) for port, nic in ports]

    async def server_at(self, network_id: str, fixed_ip: str, authority: Authority) -> str | None:
        """The server behind an address, None when there is none."""
        query = {
            "network_id": network_id,
            "fixed_ips": f"ip_address={fixed_ip}",
            "fields": ["device_id", "device_owner"],
        }
        ports = (await self._ask("GET", "/ports", Authority(authority.service), query=query))["ports"]
        found = [port["device_id"] for port in ports if port["device_owner"].startswith(OWNER)]
        return found[0] if found else None

    async def vifs_of(self, server: Server, authority: Authority) -> list[Vif]:
        """The server's vifs as they are now, in the order of its interfaces."""
        service = Authority(authority.service)
        ports = (await self._ask("GET", "/ports", service, query={"device_id": server.id}))["ports"]
        order = {interface.port_id: number for number, interface in enumerate(server.interfaces)}
        ports.sort(key=lambda port: order.get(port["id"], len(order)))
        if not ports:
            return []
        return await self._vifs([(port, NicRequest(port["network_id"])) for port in ports], service, None, (0, 0, 0))

    async def subnets(self, vifs: Sequence[Vif], authority: Authority) -> dict[str, Any]:
        """The subnets behind these vifs' addresses, by id."""
        ids = list(dict.fromkeys(address.subnet_id for vif in vifs for address in vif.addresses))
        if not ids:
            return {}
        found = await self._ask("GET", "/subnets", Authority(authority.service), query={"id": ids})
        return {subnet["id"]: subnet for subnet in found["subnets"]}

    async def release_ports(
        self, server_id: str, authority: Authority, *, brought: Collection[str], keep: AbstractSet[str] = frozenset()
    ) -> None:
        """Delete the ports that were made for the server; those the user `brought` are only unbound.

        Ports in `keep` stay as they are.
        """
        service = Authority(authority.service)
        query = {"device_id": server_id, "fields": ["id"]}
        for port in (await self._ask("GET", "/ports", service, query=query))["ports"]:
            path = f"/ports/{port['id']}"
            if port["id"] in keep:
                continue
            if port["id"] in brought:
                body = {"binding:host_id": "", "binding:profile": {}, "device_id": "", "device_owner": ""}
                await self._ask("PUT", path, service, body={"port": body}, expect=(200, 404))
            else:
                await self._ask("DELETE", path, service, expect=(204, 404))

    async def addresses_of(
        self, server_ids: Sequence[str], authority: Authority
    ) -> dict[str, dict[str, tuple[Address, ...]]]:
        """The addresses of these servers by port: the fixed ones, then the floating ones that lead to them."""
        service = Authority(authority.service)
        query = {"device_id": list(server_ids), "fields": ["id", "device_id", "fixed_ips"]}
        ports = (await self._ask("GET", "/ports", service, query=query))["ports"]
        floating: dict[str, list[Address]] = {}
        if ports:
            query = {"port_id": [port["id"] for port in ports], "fields": ["port_id", "floating_ip_address"]}
            for one in (await self._ask("GET", "/floatingips", service, query=query))["floatingips"]:
                found = floating.setdefault(one["port_id"], [])
                found.append(Address(one["floating_ip_address"], kind=FLOATING))
        by_server: dict[str, dict[str, tuple[Address, ...]]] = {}
        for port in ports:
            known = (*_fixed(port), *floating.get(port["id"], ()))
            by_server.setdefault(port["device_id"], {})[port["id"]] = known
        return by_server

    async def server_ports(self, authority: Authority) -> list[Any]:
        """Every port in the cloud that belongs to a server: id and device_id."""
        query = {"fields": ["id", "device_id", "device_owner"]}
        found = (await self._ask("GET", "/ports", Authority(authority.service), query=query))["ports"]
        return [port for port in found if port["device_owner"].startswith(OWNER)]

    async def interfaces(self, server_id: str, authority: Authority) -> list[Any]:
        """The server's ports as the network service shows them."""
        found = await self._ask("GET", "/ports", Authority(authority.service), query={"device_id": server_id})
        return list(found["ports"])


def _held(held: Sequence[Any], nic: NicRequest, taken: set[str]) -> Any | None:
    """The server's port that answers this request already."""
    for port in held:
        if port["id"] in taken:
            continue
        if nic.port_id is not None:
            if port["id"] == nic.port_id:
                return port
        elif port["network_id"] == nic.network_id and (
            nic.fixed_ip is None or any(fixed["ip_address"] == nic.fixed_ip for fixed in port["fixed_ips"])
        ):
            return port
    return None


def _epoch(port: Mapping[str, Any]) -> int:
    return int((port.get("binding:profile") or {}).get("pileus_epoch", 0))


def _new_port(
    server_id: str, nic: NicRequest, project_id: str, zone: str, hostname: str, groups: list[str] | None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "network_id": nic.network_id, "device_id": server_id, "device_owner": OWNER + zone,
        "tenant_id": project_id, "admin_state_up": True,
    }  # fmt: skip
    if nic.fixed_ip is not None:
        body["fixed_ips"] = [{"ip_address": nic.fixed_ip}]
    if groups is not None:
        body["security_groups"] = groups
    return body


def _fixed(port: Mapping[str, Any]) -> tuple[Address, ...]:
    return tuple(Address(fixed["ip_address"], fixed["subnet_id"]) for fixed in port["fixed_ips"])


def _vif(port: Mapping[str, Any], network: Mapping[str, Any], nic: NicRequest) -> Vif:
    return Vif(
        port_id=port["id"],
        network_id=port["network_id"],
        network_name=network["name"],
        mac=port["mac_address"],
        mtu=network.get("mtu") or 1500,
        tap="tap" + port["id"][:11],
        addresses=_fixed(port),
        is_ours=nic.port_id is None,
        tag=nic.tag,
    )


def is_quota(error: errors.Error) -> bool:
    """Whether the network service refused for the project's quota."""
    return error.facts.get("type") == "OverQuota"
