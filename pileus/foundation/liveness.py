"""Which hosts live, judged by one process' own clock: a heartbeat is a number that must go on growing.

Silence counts only while this process could have heard. A bus or a database that was away for minutes would otherwise
kill every host at once, in the eyes of whoever looks before their next heartbeat.
"""

from functools import partial

from pileus.foundation.bus import Bus
from pileus.foundation.database import Database
from pileus.foundation.runtime import Runtime


class Liveness:
    """Remembers when each host's count of heartbeats last grew. `now` is the caller's monotonic clock, in seconds."""

    def __init__(self, down_after_s: float):
        self._down_after_s = down_after_s
        self._seen: dict[str, tuple[int, float]] = {}
        self._away: set[str] = set()
        self._away_since = 0.0
        self._deaf_s = 0.0

    def observe(self, host: str, beats: int, now: float) -> None:
        known = self._seen.get(host)
        if known is None or known[0] != beats:
            self._seen[host] = (beats, self._listened_s(now))

    def is_alive(self, host: str, now: float) -> bool:
        """A host that was never heard of is not."""
        known = self._seen.get(host)
        return known is not None and self._listened_s(now) - known[1] < self._down_after_s

    def reaches(self, way: str, now: float, *, is_there: bool) -> None:
        """Whether something that heartbeats come by is there: our clock stands still while anything is away."""
        was_deaf = bool(self._away)
        (self._away.discard if is_there else self._away.add)(way)
        if self._away and not was_deaf:
            self._away_since = now
        elif was_deaf and not self._away:
            self._deaf_s += now - self._away_since

    def _listened_s(self, now: float) -> float:
        return (self._away_since if self._away else now) - self._deaf_s


def watching(down_after_s: float, bus: Bus, database: Database, runtime: Runtime) -> Liveness:
    """One that knows when this process' bus or database is away."""
    made = Liveness(down_after_s)

    def changed(way: str, is_there: bool) -> None:
        made.reaches(way, runtime.monotonic(), is_there=is_there)

    bus.watch(partial(changed, "bus"))
    database.watch(partial(changed, "database"))
    return made
