"""Requests that were recorded against OpenStack (release 2026.2), in their order, and the answers it gave.

Ours must have the same status and the same shape; refusals the same words. What the flows would have done between two
requests is done by hand: here they never run.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.candidate import Policy
from pileus.compute.domain.server import Server
from pileus.compute.domain.server_document import render
from pileus.compute.domain.server_states import PowerState, VmState
from pileus.compute.service import host_topic
from pileus.compute.store import servers, services
from pileus.foundation.bus import Delivery
from pileus.foundation.database import Database, Transaction
from pileus.foundation.runtime import Runtime
from tests.conftest import Run
from tests.unit.compute.api.shapes import differences
from tests.unit.compute.cloud import ALICE, NETWORK, ROOT, Cloud, a_server, start

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "recorded_answers.jsonl").read_text().splitlines()]
SAME_IDS = {
    "0666d2edc17348f2bc7ca40a72b7ff51": ROOT,
    "d4a92e6ab84241eda3e8c7e7a6a72d07": "u-admin",
    "2a8d2dc8-aa63-4d52-9faf-f737668c7365": "1",
}
NOWHERE = "00000000-0000-0000-0000-000000000000"

OTHER_WORDS = {
    "server create, over quota: 403",  # ours names cores, instances and RAM before it asks for ports
    "no token: 401",
    "bad token: 401",
}
OTHER_HEADERS = {"content-length", "date"}


class Replay:
    """The recorded session against our API."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.ids = dict(SAME_IDS)  # recorded id -> ours
        self.before: dict[str, Callable[[], Awaitable[None]]] = {
            "server show": self.settle,
            "server show, stopped": self.stopped,
            "server deleted show: 404": self.bury,
            "server group delete": self.no_group,
        }

    def ours(self, text: str) -> str:
        for recorded, own in self.ids.items():
            text = text.replace(recorded, own)
        return text

    async def prepare(self) -> None:
        await self.cloud.host()
        await self.cloud.transact(self._control_services)
        self.cloud.networks.missing.add(NOWHERE)
        self.cloud.networks.groups.append(default_group())

        async def console_output(delivery: Delivery) -> bytes:
            return b"FAKE CONSOLE OUTPUT\nANOTHER\nLAST LINE"

        self.cloud.compute.bus.serve(host_topic("compute1"), {"console_output": console_output})

    async def _control_services(self, tx: Transaction) -> None:
        for name in ("nova-scheduler", "nova-conductor"):
            await services.report(
                tx, "vm", new_id=self.cloud.compute.runtime.uuid(), name=name, zone="internal", version="1",
                inventory={}, roles=(), now=self.cloud.compute.runtime.now(),
            )  # fmt: skip

    async def settle(self) -> None:
        """The launches succeeded."""
        for server in await self._servers():
            wanted = server.networks.mode != "none"
            facts: dict[str, Any] = {"interfaces": a_server().interfaces if wanted else ()}
            await self._save(server, VmState.ACTIVE, PowerState.RUNNING, host="compute1", node="compute1",
                             availability_zone="nova", launched_at=server.created_at, **facts)  # fmt: skip
            if wanted:
                self.cloud.networks.ports.append(a_port(server))

    async def stopped(self) -> None:
        for server in await self._servers():
            if server.task_state is not None:
                await self._save(server, VmState.STOPPED, PowerState.SHUTDOWN)

    async def bury(self) -> None:
        async def work(tx: Transaction) -> None:
            for server in await self._servers():
                gone = replace(server, vm_state=VmState.DELETED, task_state=None, deleted_at=server.updated_at)
                await servers.bury(tx, server, gone, host=None)

        await self.cloud.transact(work)

    async def no_group(self) -> None:
        """The recorded group has another id than ours."""
        found = await self.cloud.get("/os-server-groups", token="admin")
        assert [group["policies"] for group in found["server_groups"]] == [[Policy.SOFT_ANTI_AFFINITY]]
        self.ids["54eac24f-54c9-4972-8b6e-997014fe69dc"] = found["server_groups"][0]["id"]

    async def _servers(self) -> list[Server]:
        known = [own for recorded, own in self.ids.items() if recorded not in SAME_IDS]
        found = [await servers.find(self.cloud.compute.database, server_id) for server_id in known]
        return [server for server in found if server is not None]

    async def _save(self, server: Server, vm_state: VmState, power_state: PowerState, **facts: Any) -> None:
        after = replace(
            server, vm_state=vm_state, task_state=None, action=None, began_in=None, power_state=power_state, **facts
        )
        await self.cloud.transact(lambda tx: servers.save(tx, server, after, render))

    async def play(self, record: dict[str, Any]) -> list[str]:
        """What differs between the recorded answer and ours."""
        if record["name"] in self.before:
            await self.before[record["name"]]()
        path = self.ours(record["path"])
        body = json.loads(self.ours(json.dumps(record["body"]))) if record["body"] is not None else None
        token = "" if "token" in record["name"] else "mallory" if "member" in record["name"] else "admin"
        prefix = "" if record["name"] in ("versions", "version v2.1") else "/v2.1"
        headers = {"openstack-api-version": f"compute {record['version']}"} if record["version"] else {}
        found = await self.cloud.peer.request(record["method"], prefix + path, body=body, token=token, headers=headers)
        answer = found.json() if found.body else None
        if record["path"] == "/servers" and record["method"] == "POST" and record["status"] == 202:
            self.ids[record["answer"]["server"]["id"]] = answer["server"]["id"]
        if found.status != record["status"]:
            return [f"{found.status} instead of {record['status']}: {answer}"]
        return [*self._answers(record, answer), *self._headers(record, dict(found.headers))]

    def _answers(self, record: dict[str, Any], answer: Any) -> list[str]:
        expected = json.loads(self.ours(json.dumps(record["answer"])))
        if record["status"] >= 400 and record["name"] not in OTHER_WORDS:
            return [] if answer == expected else [f"{answer} instead of {expected}"]
        if (expected is None) != (answer is None):
            return [f"{answer} instead of {expected}"]
        return list(differences(expected, answer))

    def _headers(self, record: dict[str, Any], headers: dict[str, str]) -> list[str]:
        names = ("openstack-api-version", "x-openstack-nova-api-version", "location", "www-authenticate")
        expected = record["headers"]
        return [
            f"header {name}: {headers.get(name)} instead of {expected.get(name)}"
            for name in names
            if (name in expected) != (name in headers)
            or (name.endswith("version") and headers.get(name) != expected.get(name))
        ]


def a_port(server: Server) -> dict[str, Any]:
    interface = a_server().interfaces[0]
    return {
        "id": interface.port_id, "device_id": server.id, "network_id": NETWORK, "mac_address": interface.mac,
        "status": "DOWN", "fixed_ips": [{"subnet_id": NETWORK, "ip_address": "10.77.0.211"}],
        "security_groups": ["0fbfc1c0-8a07-434a-8351-72a55f5be5e2"],
    }  # fmt: skip


def default_group() -> dict[str, Any]:
    group_id = "0fbfc1c0-8a07-434a-8351-72a55f5be5e2"
    rule = {
        "id": "39c7f4e1-c290-433c-83ca-115bd340dbd4", "security_group_id": group_id, "direction": "ingress",
        "ethertype": "IPv4", "protocol": None, "port_range_min": None, "port_range_max": None,
        "remote_ip_prefix": None, "remote_group_id": group_id,
    }  # fmt: skip
    return {
        "id": group_id, "name": "default", "description": "Default security group", "tenant_id": ALICE,
        "security_group_rules": [rule, rule | {"direction": "egress", "remote_group_id": None}],
    }  # fmt: skip


def test_every_recorded_request_is_answered_alike(run: Run, database: Database, runtime: Runtime) -> None:
    async def replay() -> list[str]:
        session = Replay(await start(database, runtime))
        await session.prepare()
        found = []
        for record in RECORDED:
            found += [f"{record['name']}: {difference}" for difference in await session.play(record)]
        return found

    assert not "\n".join(run(replay))


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": True}, {"a": 1}),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}),
        ({"metadata": {"x": "y"}}, {"metadata": {"z": 1}}),
    ],
)
def test_a_planted_difference_of_shape_is_found(expected: Any, found: Any) -> None:
    assert list(differences(expected, found))
