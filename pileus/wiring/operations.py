"""The part operations: the operators' API, the page at the root, the owner's socket."""

from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.http.app import App
from pileus.foundation.http.front import Front
from pileus.operations.api.control import OwnerAuthenticator
from pileus.operations.api.root import ROOT_API, RootService
from pileus.operations.api.routes import API, POLICIES
from pileus.operations.service import Operations
from pileus.wiring.ground import KINDS, VERSION, Ground

OWNERS = {  # the bus topics that answer operators
    "compute": "conductor",
    "volume": "volume-conductor",
    "image": "image",
    "placement": "placement",
}
_ROOTS = {"identity": "/identity/v3", "compute": "/compute/v2.1", "volume": "/volume/v3", "pileus": "/pileus/v1"}


class OperationsPart:
    """The operators' API at work."""

    def __init__(self, ground: Ground, describe: Callable[[], Awaitable[dict[str, Any]]]):
        self._ground = ground
        self.service = Operations(
            bus=ground.bus,
            runtime=ground.runtime,
            version=VERSION,
            region=ground.settings.cloud.region,
            owners=OWNERS,
            started_at=ground.runtime.now(),
            describe=describe,
        )
        ground.serve("pileus", API, self.service, POLICIES, "pileus")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def owners_front(self) -> Front:
        """What answers behind the socket file, to whoever can open it."""
        ground = self._ground
        app = ground.app(API, self.service, POLICIES, OwnerAuthenticator())
        return Front({"pileus": app}, root(ground, shows_metrics=True))


def root(ground: Ground, *, shows_metrics: bool) -> App:
    """What answers beside the services: the plain page, the health check, the metrics."""
    endpoints = {kind: _ROOTS.get(path, f"/{path}") for path, kind in KINDS.items()}
    service = RootService(VERSION, endpoints, ground.metrics.page, shows_metrics)
    return ground.app(ROOT_API, service, (), OwnerAuthenticator())
