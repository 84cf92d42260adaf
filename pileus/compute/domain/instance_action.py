"""What was done with a server: the instance actions of the API, and the events of their work."""

from msgspec import Struct


class ServerEvent(Struct, frozen=True, kw_only=True):
    """One piece of work of an action. Times in UTC microseconds; `result` is Success or Error, None while it runs."""

    name: str
    host: str | None
    result: str | None
    details: str | None
    started_at: int
    ended_at: int | None


class ServerAction(Struct, frozen=True, kw_only=True):
    """One request that changed a server. `message` tells that it failed."""

    server_id: str
    request_id: str
    action: str
    project_id: str
    user_id: str
    flow_id: str
    message: str | None
    started_at: int
    updated_at: int
