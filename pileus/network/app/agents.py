"""The agents on hosts: heard of when they ask for their plan."""

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.address import is_loopback, is_multicast, parse
from pileus.network.domain.agent import (
    Agent,
    check_stays_up,
    configurations,
    heard,
    is_alive,
    stamp,
    tunnel_address,
)
from pileus.network.domain.errors import AgentNotFound, InvalidInput, TunnelAddressInUse
from pileus.network.store import agents
from pileus.network.store.agents import StoredAgent


async def note_life(service: NetworkService, host: str, tunnel: str = "") -> None:
    """Remember that the agent on `host` lives, and the address of its end of the tunnels ("" means none).

    Raises: InvalidInput (400), TunnelAddressInUse (409).
    """
    _check_tunnel(tunnel)

    async def work(tx: Transaction) -> None:
        now = service.runtime.now()
        known = await agents.of_host(tx, host)
        if known is None:
            agent = Agent(
                id=service.runtime.uuid(), host=host, created_at=stamp(now), started_at=stamp(now),
                heartbeat_timestamp=stamp(now), availability_zone=service.settings.availability_zone,
                configurations=configurations(tunnel),
            )  # fmt: skip
        else:
            agent = heard(known.agent, heartbeat_us=known.heartbeat_at, now_us=now, tunnel=tunnel)
        if tunnel and (known is None or tunnel_address(known.agent) != tunnel):
            await _refuse_taken(tx, host, tunnel, now)
        await agents.put(tx, StoredAgent(agent, now))

    await service.transact(work)
    service.tunnel_use.are_used = service.tunnel_use.are_used or bool(tunnel)


def _check_tunnel(address: str) -> None:
    try:
        found = parse(address) if address else None
    except ValueError:
        raise InvalidInput(reason=f"the tunnel address {address!r} is not an IP address") from None
    if found is not None and (is_multicast(found) or is_loopback(found)):
        raise InvalidInput(reason=f"the tunnel address {address} is not one that other hosts can reach")


async def _refuse_taken(tx: Transaction, host: str, tunnel: str, now: int) -> None:
    """Two hosts at one address would take each other's guests' traffic; a dead host's address is free."""
    for other in await agents.all_known(tx):
        is_same = other.agent.host != host and tunnel_address(other.agent) == tunnel
        if is_same and is_alive(other.heartbeat_at, now):
            raise TunnelAddressInUse(address=tunnel, host=host, other=other.agent.host)


def lives(service: NetworkService, heartbeat_at: int) -> bool:
    """Whether an agent last heard of then counts as alive."""
    return is_alive(heartbeat_at, service.runtime.now())


async def find(service: NetworkService, agent_id: str) -> tuple[Agent, bool] | None:
    """The agent, and whether it is alive."""
    stored = await agents.find(service.database, agent_id)
    return (stored.agent, lives(service, stored.heartbeat_at)) if stored else None


async def update(service: NetworkService, agent_id: str, *, description: str | None, admin_state_up: bool) -> None:
    """Describe an agent. Raises: InvalidInput (400), AgentNotFound (404)."""
    check_stays_up(admin_state_up)

    async def work(tx: Transaction) -> None:
        stored = await agents.find(tx, agent_id)
        if stored is None:
            raise AgentNotFound(id=agent_id)
        agent = msgspec.structs.replace(stored.agent, description=description)
        await agents.put(tx, stored._replace(agent=agent))

    await service.transact(work)


async def delete(service: NetworkService, agent_id: str) -> None:
    """Forget an agent; one that still lives comes back by itself. Raises: AgentNotFound (404)."""

    async def work(tx: Transaction) -> None:
        if not await agents.delete(tx, agent_id):
            raise AgentNotFound(id=agent_id)

    await service.transact(work)
