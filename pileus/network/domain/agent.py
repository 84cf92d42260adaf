"""What is known of the part that wires ports on one host."""

import datetime
from typing import Any

import msgspec

from pileus.network.domain.errors import InvalidInput

TYPE = "Linux bridge agent"
BINARY = "pileus-network-host"
DEAD_AFTER_US = 75_000_000  # without a sign of life

_ZERO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as rows hold it; answers add whether it is alive."""

    id: str
    agent_type: str = TYPE
    binary: str = BINARY
    topic: str = "N/A"
    host: str
    admin_state_up: bool = True
    created_at: str
    started_at: str
    heartbeat_timestamp: str
    description: str | None = None
    resources_synced: bool | None = None
    availability_zone: str | None = None
    configurations: dict[str, Any] = msgspec.field(default_factory=dict)


def stamp(microseconds: int) -> str:
    """2026-01-02 03:04:05 of UTC microseconds: agents alone write times so."""
    moment = _ZERO + datetime.timedelta(seconds=microseconds // 1_000_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def is_alive(heartbeat_us: int, now_us: int) -> bool:
    return now_us - heartbeat_us < DEAD_AFTER_US


def heard(agent: Agent, *, heartbeat_us: int, now_us: int, tunnel: str = "") -> Agent:
    """The agent after a sign of life; one that had been dead has started again."""
    started = agent.started_at if is_alive(heartbeat_us, now_us) else stamp(now_us)
    return msgspec.structs.replace(
        agent, started_at=started, heartbeat_timestamp=stamp(now_us), configurations=configurations(tunnel)
    )


def configurations(tunnel: str) -> dict[str, Any]:
    """What an agent shows of the address from which it tunnels to other hosts; "" means that it does not."""
    return {"tunneling_ip": tunnel, "tunnel_types": ["vxlan"], "l2_population": True} if tunnel else {}


def tunnel_address(agent: Agent) -> str:
    """Where the agent's host is reached by others; "" where it is not."""
    return str(agent.configurations.get("tunneling_ip", ""))


def check_stays_up(admin_state_up: bool) -> None:
    """An agent cannot be switched off here: what could not be kept to is refused. Raises: InvalidInput (400)."""
    if not admin_state_up:
        raise InvalidInput(reason="admin_state_up of an agent cannot be false: disable the host's compute service")
