"""How much of what a project's servers used, and for how long: what a bill would be written from."""

from collections.abc import Iterable

from msgspec import Struct

from pileus.compute.domain.server import Server

_HOUR = 3_600_000_000


class ServerUsage(Struct, frozen=True, kw_only=True):
    """One server within a period. Moments are UTC microseconds; `uptime_s` counts from the launch, not the period."""

    server: Server
    hours: float
    uptime_s: int

    @property
    def state(self) -> str:
        return "terminated" if self.server.terminated_at is not None else self.server.vm_state.value


class ProjectUsage(Struct, frozen=True, kw_only=True):
    """A project's servers within a period, added up; sizes are multiplied by hours."""

    project_id: str
    start: int
    stop: int
    servers: tuple[ServerUsage, ...]

    @property
    def hours(self) -> float:
        return sum(one.hours for one in self.servers)

    @property
    def vcpu_hours(self) -> float:
        return sum(one.hours * one.server.flavor.vcpus for one in self.servers)

    @property
    def ram_mib_hours(self) -> float:
        return sum(one.hours * one.server.flavor.ram_mib for one in self.servers)

    @property
    def disk_gib_hours(self) -> float:
        return sum(one.hours * local_gib(one.server) for one in self.servers)


def local_gib(server: Server) -> int:
    return server.flavor.disk_gib + server.flavor.ephemeral_gib


def add_up(project_id: str, servers: Iterable[Server], *, start: int, stop: int, now: int) -> ProjectUsage:
    """What these servers used between `start` and `stop`; the future counts for nothing."""
    until = min(stop, now)
    found = [_one(server, start, until, now) for server in servers if _overlaps(server, start, until)]
    return ProjectUsage(project_id=project_id, start=start, stop=stop, servers=tuple(found))


def _overlaps(server: Server, start: int, until: int) -> bool:
    launched, ended = server.launched_at, server.terminated_at
    return launched is not None and launched < until and (ended is None or ended > start)


def _one(server: Server, start: int, until: int, now: int) -> ServerUsage:
    assert server.launched_at is not None
    begun = max(server.launched_at, start)
    ended = min(server.terminated_at or until, until)
    uptime = (server.terminated_at or now) - server.launched_at
    return ServerUsage(server=server, hours=max(ended - begun, 0) / _HOUR, uptime_s=uptime // 1_000_000)
