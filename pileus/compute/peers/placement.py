"""Placement, as compute needs it: providers for hosts, claims for servers."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.http.authority import Authority
from pileus.foundation.http.client import Answer, Peer, refusal
from pileus.foundation.trace import Trace

VERSION = {"openstack-api-version": "placement 1.39"}
CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB")


class Placement:
    """Claims and inventories, with the rights of the service itself."""

    def __init__(self, peer: Peer, authority: Authority):
        self._peer = peer
        self._authority = authority

    async def _ask(self, method: str, path: str, **options: Any) -> Answer:
        return await self._peer.request(method, path, headers=VERSION, authority=self._authority, **options)

    async def hosts(self, *, record: Trace | None = None) -> Any:
        """Every provider that has a free vCPU: the provider summaries of the candidates."""
        answer = await self._ask(
            "GET", "/allocation_candidates", query={"resources": "VCPU:1"}, record=record, steps=(10, 10, 10),
            sub="a",
        )  # fmt: skip
        if answer.status != 200:
            raise refusal(answer, "placement")
        return answer.json()["provider_summaries"]

    async def claim(
        self,
        server_id: str,
        provider: str,
        resources: Mapping[str, int],
        *,
        project_id: str,
        user_id: str,
        moves: bool = False,
        record: Trace | None = None,
    ) -> str | None:
        """Claim for a server, and return the provider that holds the claim; None when this one has no room (any more).

        A claim that is held stays where it is, unless it `moves`.
        """
        body = {
            "allocations": {provider: {"resources": {name: amount for name, amount in resources.items() if amount}}},
            "consumer_generation": None,
            "consumer_type": "INSTANCE",
            "project_id": project_id,
            "user_id": user_id,
        }
        for _ in range(4):
            answer = await self._ask(
                "PUT", f"/allocations/{server_id}", body=body, record=record, steps=(10, 10, 10), sub="a"
            )
            if answer.status == 204:
                return provider
            if answer.status != 409:
                raise refusal(answer, "placement")
            held = await self.held(server_id)
            if held is None:
                if _code(answer) != "placement.concurrent_update":
                    return None
                continue
            holders = list(held["allocations"])
            if holders == [provider] or not moves:
                return str(holders[0])
            body["consumer_generation"] = held["consumer_generation"]
        return None

    async def held(self, server_id: str) -> Any | None:
        """What a server holds now, None for nothing."""
        answer = await self._ask("GET", f"/allocations/{server_id}")
        if answer.status != 200:
            raise refusal(answer, "placement")
        found = answer.json()
        return found if found.get("allocations") else None

    async def release(self, server_id: str) -> None:
        """Give back all that a server holds; nothing held is fine."""
        answer = await self._ask("DELETE", f"/allocations/{server_id}")
        if answer.status not in (204, 404):
            raise refusal(answer, "placement")

    async def ensure_provider(self, provider: str, name: str, inventory: Mapping[str, Mapping[str, Any]]) -> None:
        """Have a provider of this id and name with this inventory."""
        answer = await self._ask("GET", f"/resource_providers/{provider}")
        if answer.status == 404:
            made = await self._ask("POST", "/resource_providers", body={"name": name, "uuid": provider})
            if made.status not in (200, 201, 409):
                raise refusal(made, "placement")
        for _ in range(4):
            answer = await self._ask("GET", f"/resource_providers/{provider}/inventories")
            if answer.status != 200:
                raise refusal(answer, "placement")
            found = answer.json()
            if _same(found["inventories"], inventory):
                return
            body = {
                "resource_provider_generation": found["resource_provider_generation"],
                "inventories": inventory,
            }
            answer = await self._ask("PUT", f"/resource_providers/{provider}/inventories", body=body)
            if answer.status == 200:
                return
        raise refusal(answer, "placement")

    async def consumers(self, provider: str) -> list[str]:
        """Who holds anything of a provider."""
        answer = await self._ask("GET", f"/resource_providers/{provider}/allocations")
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise refusal(answer, "placement")
        return list(answer.json()["allocations"])

    async def remove_provider(self, provider: str) -> None:
        answer = await self._ask("DELETE", f"/resource_providers/{provider}")
        if answer.status not in (204, 404):
            raise refusal(answer, "placement")


def _code(answer: Answer) -> str:
    return str(answer.json()["errors"][0].get("code", "")) if answer.body else ""


def _same(found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> bool:
    return found.keys() == wanted.keys() and all(
        all(found[name].get(key) == value for key, value in entry.items()) for name, entry in wanted.items()
    )
