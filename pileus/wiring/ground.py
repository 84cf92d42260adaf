"""What every part of a process stands on, and how it reaches the other services."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pileus import __version__
from pileus.foundation.bus import Bus
from pileus.foundation.database import Database
from pileus.foundation.http.app import Api, App, Authenticator
from pileus.foundation.http.authentication import MAX_AGE_S, ServiceLogin, TokenValidator
from pileus.foundation.http.client import Peer, Transport
from pileus.foundation.metrics import Metrics
from pileus.foundation.policy import Policy, RuleDefault
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.secrets_file import Secrets
from pileus.wiring.settings import Settings

VERSION = __version__

KINDS = {  # a path's first segment -> the service's name
    "identity": "identity",
    "compute": "compute",
    "image": "image",
    "networking": "network",
    "volume": "volume",
    "placement": "placement",
    "pileus": "pileus",
}
_SOURCES = {"compute": "compute-api"}  # an account -> the part that validates with it


@dataclass
class Ground:
    """`reach` carries requests to the service behind a path; `is_alone`: no other process runs these parts."""

    settings: Settings
    runtime: Runtime
    bus: Bus
    secrets: Secrets
    reach: Callable[[str], Transport]
    database_or_none: Database | None = None
    metrics: Metrics = field(default_factory=Metrics)
    epoch: Epoch = field(default_factory=Epoch)
    apps: dict[str, App] = field(default_factory=dict)  # by a path's first segment
    is_alone: bool = True

    @property
    def database(self) -> Database:
        """Of the control plane; hosts have none, and no part of theirs asks for it."""
        assert self.database_or_none is not None, "this process was given no database"
        return self.database_or_none

    @property
    def host_name(self) -> str:
        """This machine's name in the cloud."""
        return self.settings.host.host_name or os.uname().nodename

    def peer(self, path: str, source: str) -> Peer:
        """The service behind a path, as part `source` sees it."""
        return Peer(KINDS[path], self.reach(path), self.runtime, source=source)

    def login(self, account: str) -> ServiceLogin:
        key = self.secrets.key_of(account)
        peer = self.peer("identity", account)
        return ServiceLogin(peer, self.runtime, user=account, password=key)

    def validator(self, account: str) -> TokenValidator:
        """Each service validates with identity by itself and has a cache of its own."""
        return TokenValidator(
            _SOURCES.get(account, account), self.peer("identity", account), self.login(account), self.epoch,
            self.runtime, max_age_s=None if self.is_alone else MAX_AGE_S, caching=self.settings.cloud.caching,
        )  # fmt: skip

    def sealer(self) -> Sealer:
        return Sealer(self.secrets.sealing_key, self.runtime)

    def app(
        self, api: Api, service: Any, policies: tuple[RuleDefault, ...], authenticator: Authenticator, path: str = ""
    ) -> App:
        """An API at work; clients of one with a `path` find it there, below the cloud's address if that is set."""
        policy = Policy(policies)
        policy.require({route.policy for route in api.routes if route.policy})
        url = self.settings.cloud.url
        return App(
            api, service, runtime=self.runtime, policy=policy, authenticator=authenticator, durable=self._durable,
            observe=self.metrics.observe, public_url=f"{url}/{path}" if url and path and not self.is_alone else "",
        )  # fmt: skip

    def serve(self, path: str, api: Api, service: Any, policies: tuple[RuleDefault, ...], account: str) -> None:
        """Put a service behind its path, for callers that identity knows."""
        self.apps[path] = self.app(api, service, policies, self.validator(account), path)

    async def _durable(self) -> None:
        if self.database_or_none is not None:
            await self.database_or_none.durable()
