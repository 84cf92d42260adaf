"""Networks that span hosts: which others carry a network, who lives there, and that they hear when that changes.

A host tells the address of its end of the tunnels whenever it asks for its plan; its agent's row keeps it. A host that
tells none has no peers and is nobody's peer. Telling is nudging: hosts ask, and look by themselves now and then.
"""

from collections import defaultdict
from collections.abc import Sequence

from pileus.network.app.service import NetworkService
from pileus.network.domain.address import parse
from pileus.network.domain.agent import tunnel_address
from pileus.network.domain.data_plane import Peer
from pileus.network.domain.port import DHCP
from pileus.network.store import agents, ports

LOOK_S = 10.0  # how long this process believes that no host has tunnels


async def peers(service: NetworkService, host: str, tunnel: str, network_ids: Sequence[str]) -> dict[str, list[Peer]]:
    """Whom a host with this end of the tunnels shares each network with: hosts that have guests there."""
    if not tunnel or not network_ids:
        return {}
    elsewhere = await ports.elsewhere(service.database, network_ids, host)
    carriers = {(held.network_id, held.host) for held in elsewhere if held.device_owner != DHCP}
    ends = await _ends(service, sorted({carrier for _, carrier in carriers}), tunnel)
    macs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for held in elsewhere:
        macs[held.network_id, held.host].append(held.mac)
    found: dict[str, list[Peer]] = defaultdict(list)
    for network_id, carrier in carriers:
        if carrier in ends:
            found[network_id].append(Peer(address=ends[carrier], macs=tuple(sorted(macs[network_id, carrier]))))
    return {network_id: sorted(those, key=lambda peer: peer.address) for network_id, those in found.items()}


async def _ends(service: NetworkService, hosts: Sequence[str], own: str) -> dict[str, str]:
    """Where these hosts can be reached from `own`: an IPv4 address does not reach an IPv6 one."""
    if not hosts:
        return {}
    ends = {
        stored.agent.host: tunnel_address(stored.agent) for stored in await agents.of_hosts(service.database, hosts)
    }
    family = parse(own).family
    return {host: end for host, end in ends.items() if end and parse(end).family == family}


async def tell_peers(service: NetworkService, network_id: str, *, told: str = "", left: str = "") -> None:
    """Let hosts of a network look at who is where; not the one that was `told` anyway, but one that was `left`, too."""
    if not await _are_used(service):
        return
    hosts = {*await ports.hosts_of_network(service.database, network_id), left} - {told, ""}
    for host in sorted(hosts):
        service.hosts.peers_changed(host, network_id)


async def _are_used(service: NetworkService) -> bool:
    """Whether any host has tunnels; a cloud on one host pays nothing for those that span several."""
    use, now = service.tunnel_use, service.runtime.monotonic()
    if not use.are_used and now >= use.look_at:
        use.look_at = now + LOOK_S
        use.are_used = any(tunnel_address(stored.agent) for stored in await agents.all_known(service.database))
    return use.are_used
