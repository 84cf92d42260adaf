"""The catalogs that tokens carry: rendered once for each scope and address, until the epoch changes."""

import msgspec

from pileus.foundation.database import Database
from pileus.identity.app.tokens import Worth
from pileus.identity.domain.catalog import Endpoint, Service, render
from pileus.identity.store import catalog

MOST = 500
"""Rendered catalogs kept, of some KiB each."""


class Catalogs:
    """Renders catalogs of one epoch at a time."""

    def __init__(self, database: Database):
        self._database = database
        self._epoch = -1
        self._services: list[Service] = []
        self._endpoints: list[Endpoint] = []
        self._by_user = False
        self._rendered: dict[tuple[str, ...], msgspec.Raw] = {}

    async def of(self, worth: Worth, base_url: str, epoch: int) -> msgspec.Raw:
        """The encoded catalog for a token's scope; `base_url` is this cloud's own address."""
        if self._epoch != epoch:
            await self._read(epoch)
        project_id = worth.project.id if worth.project else ""
        domain_id = worth.domain.id if worth.domain else ""
        key = (base_url, project_id, domain_id, worth.user.id if self._by_user else "")
        found = self._rendered.get(key)
        if found is None:
            facts = {
                "project_id": project_id,
                "tenant_id": project_id,
                "domain_id": domain_id,
                "user_id": worth.user.id,
            }
            found = msgspec.Raw(msgspec.json.encode(render(self._services, self._endpoints, base_url, facts)))
            if len(self._rendered) >= MOST:
                self._rendered.clear()
            self._rendered[key] = found
        return found

    async def _read(self, epoch: int) -> None:
        services = await catalog.services(self._database)
        endpoints = await catalog.endpoints(self._database)
        self._services, self._endpoints = services, endpoints
        self._by_user = any("(user_id)" in each.url for each in endpoints)
        self._rendered = {}
        self._epoch = epoch
