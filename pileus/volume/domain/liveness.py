"""Which hosts live, judged by one process' own clock: a heartbeat is a number that must go on growing."""


class Liveness:
    """Remembers when each host's count of heartbeats last grew. `now` is the caller's monotonic clock, in seconds."""

    def __init__(self, down_after_s: float):
        self._down_after_s = down_after_s
        self._seen: dict[str, tuple[int, float]] = {}

    def observe(self, host: str, beats: int, now: float) -> None:
        known = self._seen.get(host)
        if known is None or known[0] != beats:
            self._seen[host] = (beats, now)

    def is_alive(self, host: str, now: float) -> bool:
        """A host that was never heard of is not."""
        known = self._seen.get(host)
        return known is not None and now - known[1] < self._down_after_s
