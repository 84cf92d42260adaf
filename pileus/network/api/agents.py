"""The agents on hosts, on the wire: for administrators."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.http.request import Response, empty
from pileus.network.api import access, collection
from pileus.network.api.access import Call
from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import AGENTS
from pileus.network.app import agents
from pileus.network.domain.agent import Agent
from pileus.network.domain.document import render
from pileus.network.domain.errors import AgentNotFound


def _with_life(text: str, is_alive: bool) -> str:
    return f'{text[:-1]},"alive":{"true" if is_alive else "false"}}}'


async def list_agents(request: Call) -> Response:
    async def joined(request: Call, rows: Sequence[Any], texts: list[str]) -> list[str]:
        return [
            _with_life(text, agents.lives(request.service, row["heartbeat_at"]))
            for row, text in zip(rows, texts, strict=True)
        ]

    return await collection.many(AGENTS, request, joined)


async def _visible(request: Call) -> tuple[Agent, bool]:
    """The agent of the path, and whether it is alive. Raises: AgentNotFound (404)."""
    found = await agents.find(request.service, request.params["agent_id"])
    if found is None or not access.may_see(request, "get_agent", {}):
        raise AgentNotFound(id=request.params["agent_id"])
    return found


async def show_agent(request: Call) -> Response:
    agent, is_alive = await _visible(request)
    return collection.one_text(AGENTS, request, _with_life(render(agent), is_alive))


async def update_agent(request: Call) -> Response:
    agent, _ = await _visible(request)
    access.enforce(request, {})
    item = request.body["agent"]
    await agents.update(
        request.service,
        agent.id,
        description=item.get("description", agent.description),
        admin_state_up=is_true(item.get("admin_state_up", True)),
    )
    changed, is_alive = await _visible(request)
    return collection.one_text(AGENTS, request, _with_life(render(changed), is_alive))


async def delete_agent(request: Call) -> Response:
    agent, _ = await _visible(request)
    access.enforce(request, {})
    await agents.delete(request.service, agent.id)
    return empty()
