"""The doing half of real wires: looks at the kernel, asks `devices` and `dnsmasq` what is missing, and does that.

Devices, namespaces and dnsmasq go on when this process ends; the next one finds them by marks and records.
"""

import asyncio
import contextlib
import grp
import hashlib
import pwd
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from pileus.foundation.daemons import await_ending, end_daemon, find_daemon, signal_daemon
from pileus.foundation.namespaces import NAMESPACES, is_inside, send_datagram
from pileus.foundation.runtime import Runtime
from pileus.network.domain.data_plane import NetworkPlan, PluggedPort, PortPlan
from pileus.network.drivers.base import (
    HostFacts,
    NetworkAbsent,
    NetworkFact,
    PortFact,
    StaleBinding,
    bridge_name,
    check_id,
    dhcp_namespace,
    tap_name,
    tunnel_name,
)
from pileus.network.drivers.check import check_network, check_port
from pileus.network.drivers.linux import devices, dnsmasq, tunnels
from pileus.network.drivers.linux.host_commands import PATH, HostCommands, no_such_address
from pileus.network.drivers.linux.records import Records

_RUN = Path("/run/pileus")
_SYSCTL = Path("/proc/sys/net")
_DHCP_PORT = 67


class _Turn:
    """Whose turn it is with one network."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class LinuxBackend:
    """A `NetworkBackend` of bridges, taps, namespaces and dnsmasq.

    Options: `run_dir`, where records and dnsmasq's files go; `dhcp_user`, under which dnsmasq runs; `path`, where
    programs are looked for; `tunnel_address`, an address of this host from which networks reach their other hosts
    (without one they end here), and `tunnel_port`. The cloud's mark on devices is made from the state directory's path,
    so that clouds on one machine do not touch each other's.
    """

    def __init__(self, runtime: Runtime, *, hostname: str, state_dir: Path, options: Mapping[str, object]):
        self._runtime = runtime
        self._owner = hashlib.blake2b(str(state_dir.absolute()).encode(), digest_size=4).hexdigest()
        self._user = pwd.getpwnam(str(options.get("dhcp_user", "nobody")))
        self._group = grp.getgrgid(self._user.pw_gid).gr_name
        self._records = Records(Path(str(options.get("run_dir", _RUN / self._owner))), self._user.pw_gid)
        self._host = HostCommands(runtime, str(options.get("path", PATH)))
        address, port = str(options.get("tunnel_address", "")), int(str(options.get("tunnel_port", tunnels.PORT)))
        self._endpoint = tunnels.Endpoint(address, port) if address else None
        self._locks: dict[str, _Turn] = {}

    async def open(self) -> None:
        for lack in self._host.lacks(for_tunnels=self._endpoint is not None):
            raise lack.error()
        if self._endpoint and not tunnels.has_address(await self._host.own_addresses(), self._endpoint.address):
            raise no_such_address(self._endpoint.address).error()
        self._records.open()

    async def close(self) -> None:
        """Nothing to let go of: devices and dnsmasq are the kernel's and their own."""

    def metadata_namespace(self, network_id: str) -> str:
        return dhcp_namespace(network_id)

    # -- what is there --------------------------------------------------------------------------------------------
    async def observe(self) -> HostFacts:
        links = await self._links()
        marked = list(devices.marked(links, self._owner))
        ids = {owned for kind, owned, _ in marked if kind in ("network", "dhcp", "tunnel")}
        ids |= set(self._records.network_ids())
        known = tunnels.parse_entries(await self._host.forwarding()) if self._endpoint else {}
        networks = [await self._network_fact(network_id, links, known) for network_id in sorted(ids)]
        plans = {fact.id: fact.plan for fact in networks}
        taps = {owned: link for kind, owned, link in marked if kind == "port"}
        ports = await self._runtime.in_thread(self._port_facts, links, taps, plans)
        return HostFacts(networks=tuple(networks), ports=tuple(ports))

    async def _links(self) -> devices.Links:
        return devices.parse_links(await self._host.links(in_detail=self._endpoint is not None))

    async def _see(self, network_id: str) -> devices.Namespace:
        name = dhcp_namespace(network_id)
        if not (NAMESPACES / name).exists():
            return devices.NO_NAMESPACE
        inside = await self._host.addresses(name)
        if inside is None:
            return devices.Namespace(has_name=True)
        return devices.Namespace(has_name=True, is_alive=True, inner=devices.parse_inner(inside))

    async def _network_fact(
        self, network_id: str, links: devices.Links, known: Mapping[str, tunnels.Entries]
    ) -> NetworkFact:
        plan = self._records.find_network(network_id)
        if plan is None:
            return NetworkFact(id=network_id, problems=("no record of its plan",))
        inner = (await self._see(network_id)).inner
        problems = [
            *devices.network_problems(plan, links, inner, owner=self._owner),
            *tunnels.problems(plan, links, known, self._endpoint, owner=self._owner),
        ]
        if bridge_name(network_id) in links and self._open_doors(network_id):
            problems.append("the host can be reached from the bridge")
        if dnsmasq.served(plan) and self._find_dnsmasq(plan) is None:
            problems.append("dnsmasq does not run as planned")
        return NetworkFact(id=network_id, plan=plan, problems=tuple(problems))

    def _port_facts(
        self, links: devices.Links, taps: Mapping[str, devices.Link], plans: Mapping[str, NetworkPlan | None]
    ) -> list[PortFact]:
        recorded = [port_id for network_id in plans for port_id in self._records.port_ids(network_id)]
        return [self._port_fact(port_id, links, plans) for port_id in sorted({*recorded, *taps})]

    def _port_fact(self, port_id: str, links: devices.Links, plans: Mapping[str, NetworkPlan | None]) -> PortFact:
        tap = tap_name(port_id)
        plan = self._records.find_port(port_id)
        if plan is None:
            return PortFact(id=port_id, network_id="", tap=tap, problems=("no record of its plan",))
        network = plans.get(plan.network_id)
        problems = [*devices.port_problems(plan, network, links, owner=self._owner)]
        if network is not None and not self._records.has_files(network.id, port_id, dnsmasq.port_files(plan, network)):
            problems.append("DHCP was not told of it")
        return PortFact(id=port_id, network_id=plan.network_id, tap=tap, plan=plan, problems=tuple(problems))

    # -- networks -------------------------------------------------------------------------------------------------
    async def ensure_network(self, plan: NetworkPlan) -> None:
        check_network(plan)
        async with self._lock(plan.id):
            before = self._records.find_network(plan.id)
            if before != plan:
                self._records.save_network(plan)
            await self._ensure_devices(plan)
            self._close_doors(plan.id)
            if dnsmasq.served(plan):
                await self._ensure_dnsmasq(plan)
            else:
                await self._ensure_no_dnsmasq(plan.id)
            if before is not None and dnsmasq.told(before) != dnsmasq.told(plan):
                self._tell_all(plan)

    async def _ensure_devices(self, plan: NetworkPlan) -> None:
        namespace, links = await self._see(plan.id), await self._links()
        commands = devices.network_commands(plan, links, namespace, owner=self._owner)
        leading = tunnels.device_commands(plan, links, self._endpoint, owner=self._owner)
        await self._host.ip([*commands, *leading], "make a network")
        if tunnels.is_needed(plan, self._endpoint):
            await self._ensure_entries(plan)
        if dnsmasq.served(plan):
            is_new = any(command.startswith("link add") and "veth" in command for command in commands)
            inner = devices.inner_commands(plan, None if is_new else namespace.inner)
            await self._host.ip(inner, "give DHCP its addresses", dhcp_namespace(plan.id))

    async def _ensure_entries(self, plan: NetworkPlan) -> None:
        name = tunnel_name(plan.id)
        known = tunnels.parse_entries(await self._host.forwarding(name), name)
        await self._host.bridge(tunnels.entry_commands(plan, known.get(name, frozenset())), "say who is where")

    async def ensure_no_network(self, network_id: str) -> None:
        check_id("network id", network_id)
        async with self._lock(network_id):
            await self._ensure_no_dnsmasq(network_id)
            namespace = await self._see(network_id)
            commands = devices.removal_commands(network_id, await self._links(), namespace, owner=self._owner)
            await self._host.ip(commands, "remove a network")
            self._records.forget_network(network_id)

    @contextlib.asynccontextmanager
    async def _lock(self, network_id: str) -> AsyncIterator[None]:
        """One change at a time to one network, in the order of asking: what is there is looked at, then changed."""
        turn = self._locks.setdefault(network_id, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if turn.users == 0:
                del self._locks[network_id]

    # -- the host itself ------------------------------------------------------------------------------------------
    def _open_doors(self, network_id: str) -> list[tuple[Path, str]]:
        """Settings of the bridge that would let guests talk to the host itself."""
        settings = devices.bridge_settings(bridge_name(network_id))
        paths = [(_SYSCTL / name, value) for name, value in settings.items()]
        return [(path, value) for path, value in paths if path.exists() and path.read_text().strip() != value]

    def _close_doors(self, network_id: str) -> None:
        for path, value in self._open_doors(network_id):
            path.write_text(value)

    # -- dnsmasq --------------------------------------------------------------------------------------------------
    def _argument(self, network_id: str) -> str:
        """What only this network's dnsmasq has in its command line."""
        return f"--conf-file={self._records.directory(network_id)}/dnsmasq.conf"

    def _pid_file(self, network_id: str) -> Path:
        return self._records.directory(network_id) / "dnsmasq.pid"

    def _configuration(self, plan: NetworkPlan) -> str:
        directory = self._records.directory(plan.id)
        return dnsmasq.configuration(plan, directory, user=self._user.pw_name, group=self._group)

    def _find_dnsmasq(self, plan: NetworkPlan) -> int | None:
        """The pid of the dnsmasq that serves the plan as it is now, inside the namespace as it is now."""
        pid = find_daemon(self._argument(plan.id), self._pid_file(plan.id))
        if pid is None or not is_inside(pid, dhcp_namespace(plan.id)):
            return None
        return pid if self._records.configuration(plan.id) == self._configuration(plan) else None

    async def _ensure_dnsmasq(self, plan: NetworkPlan) -> None:
        if self._find_dnsmasq(plan) is None:
            await self._ensure_no_dnsmasq(plan.id)
            self._records.save_configuration(plan.id, self._configuration(plan))
            await self._host.dnsmasq(str(NAMESPACES / dhcp_namespace(plan.id)), self._argument(plan.id))

    async def _ensure_no_dnsmasq(self, network_id: str) -> None:
        """End it before its configuration changes, so that the file always says what the running one was told."""
        argument = self._argument(network_id)
        pid = find_daemon(argument, self._pid_file(network_id))
        if pid is None and self._records.configuration(network_id):
            pid = await self._runtime.in_thread(find_daemon, argument)
        if pid is not None:
            await end_daemon(self._runtime, pid, argument)
        else:
            await await_ending(self._runtime, self._pid_file(network_id))

    def _reload_dnsmasq(self, network_id: str) -> None:
        pid = find_daemon(self._argument(network_id), self._pid_file(network_id))
        if pid is not None:
            signal_daemon(pid, self._argument(network_id), signal.SIGHUP)

    def _tell_all(self, network: NetworkPlan) -> None:
        """Write every port's files anew, for the network's subnets are others now."""
        for port_id in self._records.port_ids(network.id):
            port = self._records.find_port(port_id)
            if port is not None:
                self._records.put_files(network.id, port_id, dnsmasq.port_files(port, network))
        self._reload_dnsmasq(network.id)

    # -- ports ----------------------------------------------------------------------------------------------------
    async def ensure_port(self, plan: PortPlan) -> PluggedPort:
        check_port(plan)
        async with self._lock(plan.network_id):
            network = self._records.find_network(plan.network_id)
            links = await self._links()
            bridge = bridge_name(plan.network_id)
            if network is None or bridge not in links:
                raise NetworkAbsent(network_id=plan.network_id, port_id=plan.id)
            before = self._records.find_port(plan.id)
            self._check_epoch(plan.id, before, plan.epoch)
            if before != plan:
                self._records.save_port(plan)
            await self._host.ip(devices.port_commands(plan, network, links, owner=self._owner), "plug a port")
            await self._tell(network, plan, before)
        return PluggedPort(
            port_id=plan.id, network_id=network.id, tap=tap_name(plan.id), bridge=bridge, mtu=network.mtu
        )

    async def ensure_no_port(self, port_id: str, *, epoch: int | None = None) -> None:
        check_id("port id", port_id)
        network_id = self._records.network_of(port_id)
        async with self._lock(network_id or ""):
            before = self._records.find_port(port_id)
            if epoch is not None:
                self._check_epoch(port_id, before, epoch)
            commands = devices.unplug_commands(port_id, await self._links(), owner=self._owner)
            await self._host.ip(commands, "unplug a port")
            network = self._records.find_network(network_id) if network_id is not None else None
            if before is not None and network is not None:
                await self._tell_of_removal(network, before)
            self._records.forget_port(port_id)

    def _check_epoch(self, port_id: str, known: PortPlan | None, epoch: int) -> None:
        if known is not None and epoch < known.epoch:
            raise StaleBinding(port_id=port_id, epoch=epoch, newest=known.epoch)

    async def _tell(self, network: NetworkPlan, port: PortPlan, before: PortPlan | None) -> None:
        """Let DHCP know a port, and forget the addresses that it no longer has."""
        if self._records.put_files(network.id, port.id, dnsmasq.port_files(port, network)):
            self._reload_dnsmasq(network.id)
        if before is not None:
            await self._release(network, before, dnsmasq.leases(before, network) - dnsmasq.leases(port, network))

    async def _tell_of_removal(self, network: NetworkPlan, port: PortPlan) -> None:
        if self._records.put_files(network.id, port.id, dnsmasq.no_port_files()):
            self._reload_dnsmasq(network.id)
        await self._release(network, port, dnsmasq.leases(port, network))

    async def _release(self, network: NetworkPlan, port: PortPlan, leases: frozenset[dnsmasq.Lease]) -> None:
        """End leases whose guest is gone: dnsmasq gives an address to nobody else while one lasts."""
        if not leases or self._find_dnsmasq(network) is None:
            return
        if any(lease.is_v6 for lease in leases):  # bound to an id that only the guest knew: a restart forgets all
            await self._ensure_no_dnsmasq(network.id)
            await self._ensure_dnsmasq(network)
            return
        for lease in leases:
            packet = dnsmasq.release(lease.mac, lease.address, lease.server)
            await send_datagram(
                self._runtime, dhcp_namespace(network.id), dnsmasq.INNER_DEVICE, (lease.server, _DHCP_PORT), packet
            )
