"""The processes of a cloud as they announced themselves, and whether they live."""

from collections.abc import Iterable

import msgspec

BEATS_MISSED = 3
"""So many heartbeats a process may miss before it counts as down."""


ENDED = 1 << 60
"""The last heartbeat of a process that ended in order: none that comes late is newer."""


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process. `id` is new in each life; times are UTC microseconds."""

    id: str
    name: str
    parts: tuple[str, ...]
    host: str
    pid: int
    version: str
    url: str = ""  # where it answers clients
    started_at: int
    heartbeat_s: float
    beats: int = 0
    last_seen_at: int = 0

    @property
    def has_ended(self) -> bool:
        return self.beats >= ENDED


class Watch:
    """Judges by one process' own clock who lives: a heartbeat is a number that must go on growing."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, bool]] = {}  # beats, since when, whether we saw them grow

    def look(self, processes: Iterable[Process], now: float) -> None:
        seen = {}
        for process in processes:
            known = self._seen.get(process.id)
            if known is None:
                seen[process.id] = (process.beats, now, process.beats == 0)
            elif known[0] != process.beats:
                seen[process.id] = (process.beats, now, True)
            else:
                seen[process.id] = known
        self._seen = seen

    def state(self, process: Process, now: float) -> str:
        """up, down; unknown while we have not watched for long enough to tell."""
        known = self._seen.get(process.id)
        if known is None:
            return "unknown"
        _, since, has_grown = known
        if now - since > BEATS_MISSED * process.heartbeat_s:
            return "down"
        return "up" if has_grown else "unknown"


def outlived(processes: Iterable[Process], states: dict[str, str]) -> list[str]:
    """The ids of those that are down and have a successor: another of the same name that is up."""
    processes = list(processes)
    up = {process.name for process in processes if states[process.id] == "up"}
    return [process.id for process in processes if states[process.id] == "down" and process.name in up]
