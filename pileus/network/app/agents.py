"""The agents on hosts: heard of when they ask for their plan."""

import msgspec

from pileus.foundation.database import Transaction
from pileus.network.app.service import NetworkService
from pileus.network.domain.agent import Agent, check_stays_up, heard, is_alive, stamp
from pileus.network.domain.errors import AgentNotFound
from pileus.network.store import agents
from pileus.network.store.agents import StoredAgent


async def note_life(service: NetworkService, host: str) -> None:
    """Remember that the agent on `host` lives."""

    async def work(tx: Transaction) -> None:
        now = service.runtime.now()
        known = await agents.of_host(tx, host)
        if known is None:
            agent = Agent(
                id=service.runtime.uuid(), host=host, created_at=stamp(now), started_at=stamp(now),
                heartbeat_timestamp=stamp(now), availability_zone=service.settings.availability_zone,
            )  # fmt: skip
        else:
            agent = heard(known.agent, heartbeat_us=known.heartbeat_at, now_us=now)
        await agents.put(tx, StoredAgent(agent, now))

    await service.transact(work)


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
