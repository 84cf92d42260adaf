"""Counts and times of answers, in the Prometheus text format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from pileus.foundation.http.route import Route

BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """One process' metrics; each process serves its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pileus_http_requests_total", "Answers given.", ("service", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "pileus_http_request_seconds", "Time from request to answer.", ("service",), buckets=BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._flows = Gauge("pileus_open_flows", "Long work that has not ended.", ("service",), registry=self._registry)
        self._bound: dict[tuple[str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}

    def observe(self, service: str, route: Route | None, status: int, seconds: float) -> None:
        """One answer."""
        key = (service, status)
        counter = self._bound.get(key)
        if counter is None:
            counter = self._bound[key] = self._requests.labels(service, str(status))
            self._timed.setdefault(service, self._seconds.labels(service))
        counter.inc()
        self._timed[service].observe(seconds)

    def open_flows(self, service: str, count: int) -> None:
        self._flows.labels(service).set(count)

    def page(self) -> bytes:
        return generate_latest(self._registry)
