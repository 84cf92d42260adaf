"""Placement alone in a process: its application on a database of its own, asked as its clients ask it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pileus.foundation.context import Caller, Context
from pileus.foundation.database import Database
from pileus.foundation.errors import Unauthorized
from pileus.foundation.http.app import App
from pileus.foundation.http.client import Answer, InProcess, Peer
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime
from pileus.placement.api.policies import POLICIES
from pileus.placement.api.routes import API
from pileus.placement.service import Placement
from pileus.placement.store.tables import SCHEMA

T = TypeVar("T")

CALLERS = {
    "admin": Caller(user_id="u-admin", project_id="p-admin", roles=frozenset({"admin", "member", "reader"})),
    "service": Caller(user_id="u-nova", project_id="p-service", roles=frozenset({"service"})),
    "member": Caller(user_id="u-member", project_id="p-member", roles=frozenset({"member", "reader"})),
    "nobody": Caller(user_id="u-nobody"),
}


class KnownTokens:
    """Takes the names of `CALLERS` as tokens."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        caller = CALLERS.get(headers.get("x-auth-token", ""))
        if caller is None:
            raise Unauthorized()
        return caller


@dataclass
class PlacementCloud:
    """One placement service, and a way to ask it."""

    placement: Placement
    app: App
    peer: Peer

    async def ask(
        self, method: str, path: str, body: Any = None, *, version: str = "1.39", token: str = "service"
    ) -> Answer:
        headers = {"openstack-api-version": f"placement {version}"} if version else {}
        return await self.peer.request(method, path, body=body, token=token, headers=headers)

    async def get(self, path: str, **options: Any) -> Any:
        """The document at a path, which must be there."""
        found = await self.ask("GET", path, **options)
        assert found.status == 200, (found.status, found.body)
        return found.json()

    async def host(self, uuid: str, name: str = "", parent: str | None = None, **inventory: Any) -> None:
        """A provider with inventories: `VCPU=8`, or `VCPU={"total": 8, "allocation_ratio": 4.0}`."""
        body = {"name": name or f"host-{uuid}", "uuid": uuid, "parent_provider_uuid": parent}
        made = await self.ask("POST", "/resource_providers", body)
        assert made.status == 200, made.body
        records = {key: each if isinstance(each, dict) else {"total": each} for key, each in inventory.items()}
        if records:
            body = {"resource_provider_generation": 0, "inventories": records}
            put = await self.ask("PUT", f"/resource_providers/{uuid}/inventories", body)
            assert put.status == 200, put.body

    async def claim(self, consumer: str, generation: int | None = None, **options: Any) -> Answer:
        """PUT of allocations: `amounts={provider: {"VCPU": 1}}`."""
        version = options.pop("version", "1.39")
        return await self.ask("PUT", f"/allocations/{consumer}", claim_body(generation, **options), version=version)


def claim_body(
    generation: int | None, amounts: Mapping[str, Mapping[str, int]], project: str = "p1", user: str = "u1"
) -> dict[str, Any]:
    return {
        "allocations": {uuid: {"resources": resources} for uuid, resources in amounts.items()},
        "consumer_generation": generation,
        "consumer_type": "INSTANCE",
        "project_id": project,
        "user_id": user,
    }


async def start(database: Database, runtime: Runtime) -> PlacementCloud:
    """Placement on an empty database."""
    await database.migrate(SCHEMA)
    placement = Placement(database, runtime)
    app = App(
        API, placement, runtime=runtime, policy=Policy(POLICIES), authenticator=KnownTokens(), durable=database.durable
    )
    return PlacementCloud(placement, app, Peer("placement", InProcess(app, runtime), runtime))


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


Work = Callable[[PlacementCloud], Awaitable[T]]


def tell(run: Callable[..., Any], database: Database, runtime: Runtime) -> Callable[[Work[T]], T]:
    """`tell(...)(story)` runs a story with a placement service of its own."""

    def told(story: Work[T]) -> T:
        async def whole() -> T:
            return await story(await start(database, runtime))

        result: T = run(whole)
        return result

    return told
