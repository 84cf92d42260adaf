"""Placement's answers have the shapes that were recorded of the reference implementation."""

from collections.abc import Callable
from typing import Any

import pytest

from pileus.foundation.http.client import InProcess, Peer
from pileus.foundation.http.front import Front
from pileus.placement.api.policies import POLICIES
from pileus.placement.api.routes import API, ROUTES
from tests.api.placement_cloud import CALLERS, PlacementCloud, claim_body, tell, uuid

HOST, SERVER = uuid(1), uuid(100)


@pytest.fixture
def told(run: Any, database: Any, runtime: Any) -> Callable[..., Any]:
    return tell(run, database, runtime)


def test_discovery_needs_no_token(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> Any:
        return await cloud.get("/", version="", token="")

    assert told(story) == {
        "versions": [
            {
                "id": "v1.0",
                "max_version": "1.39",
                "min_version": "1.0",
                "status": "CURRENT",
                "links": [{"rel": "self", "href": ""}],
            }
        ]
    }


def test_a_claimed_host_looks_as_recorded(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        ratios = {"VCPU": {"total": 1000, "allocation_ratio": 4.0}, "MEMORY_MB": {"total": 800_000, "reserved": 512}}
        await cloud.host(HOST, name="compute1", **ratios, DISK_GB=600_000)
        held = {HOST: {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}}
        assert (await cloud.claim(SERVER, amounts=held, project="p1", user="u1")).status == 204
        own = f"/resource_providers/{HOST}"
        assert await cloud.get("/resource_providers") == {
            "resource_providers": [
                {
                    "uuid": HOST,
                    "name": "compute1",
                    "generation": 2,
                    "links": [
                        {"rel": "self", "href": own},
                        *(
                            {"rel": name, "href": f"{own}/{name}"}
                            for name in ("inventories", "usages", "aggregates", "traits", "allocations")
                        ),
                    ],
                    "parent_provider_uuid": None,
                    "root_provider_uuid": HOST,
                }
            ]
        }
        assert await cloud.get("/allocation_candidates?resources=VCPU:1,MEMORY_MB:64") == {
            "allocation_requests": [
                {"allocations": {HOST: {"resources": {"VCPU": 1, "MEMORY_MB": 64}}}, "mappings": {"": [HOST]}}
            ],
            "provider_summaries": {
                HOST: {
                    "resources": {
                        "VCPU": {"capacity": 4000, "used": 1},
                        "MEMORY_MB": {"capacity": 799_488, "used": 64},
                        "DISK_GB": {"capacity": 600_000, "used": 1},
                    },
                    "traits": [],
                    "parent_provider_uuid": None,
                    "root_provider_uuid": HOST,
                }
            },
        }
        assert await cloud.get(f"/allocations/{SERVER}") == {
            "allocations": {HOST: {"resources": held[HOST], "generation": 2}},
            "project_id": "p1",
            "user_id": "u1",
            "consumer_generation": 1,
            "consumer_type": "INSTANCE",
        }
        assert await cloud.get("/usages?project_id=p1") == {
            "usages": {"INSTANCE": {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1, "consumer_count": 1}}
        }

    told(story)


def test_links_begin_where_the_service_is_reached(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        front = Front({"placement": cloud.app}, cloud.app)
        peer = Peer("placement", InProcess(front, cloud.placement.runtime), cloud.placement.runtime)
        body = {"name": "a", "uuid": HOST}
        made = await peer.request("POST", "/placement/resource_providers", body=body, token="admin")
        assert made.headers["location"] == f"http://localhost/placement/resource_providers/{HOST}"
        shown = await peer.request("GET", f"/placement/resource_providers/{HOST}", token="admin")
        assert shown.json()["links"][0]["href"] == f"/placement/resource_providers/{HOST}"
        refused = await peer.request("GET", "/placement/resource_providers")
        assert refused.headers["www-authenticate"] == 'Keystone uri="http://localhost/identity"'

    told(story)


def test_errors_have_the_recorded_shape(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        answer = await cloud.claim(SERVER, generation=3, amounts={HOST: {"VCPU": 1}})
        error = answer.json()["errors"][0]
        assert (error["status"], error["title"], error["code"]) == (409, "Conflict", "placement.concurrent_update")
        assert error["request_id"] == answer.headers["x-openstack-request-id"]
        assert "consumer generation conflict" in error["detail"]
        wrong = await cloud.ask("POST", "/resource_providers", {"name": "a", "colour": "red"})
        assert "JSON does not validate" in wrong.json()["errors"][0]["detail"]
        assert "colour" in wrong.json()["errors"][0]["detail"]
        method = await cloud.ask("POST", f"/allocations/{SERVER}", {})
        assert (method.status, method.headers["allow"]) == (405, "DELETE, GET, PUT")
        assert (await cloud.ask("GET", "/nowhere")).json()["errors"][0]["status"] == 404

    told(story)


def test_without_a_token_the_caller_is_sent_to_identity(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> Any:
        return await cloud.ask("GET", "/resource_providers", token="")

    answer = told(story)
    assert (answer.status, answer.json()["error"]["title"]) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"].startswith("Keystone uri=")


ALLOWED = {"admin": True, "service": True, "member": False, "nobody": False}
BODIES = {
    "/resource_providers": {"name": "x"},
    "/allocations": {SERVER: claim_body(None, {HOST: {"VCPU": 1}})},
    "/resource_classes": {"name": "CUSTOM_X"},
    "/reshaper": {"inventories": {}, "allocations": {}},
}


@pytest.mark.parametrize("token", sorted(CALLERS))
def test_every_operation_is_for_admins_and_services_only(told: Callable[..., Any], token: str) -> None:
    async def story(cloud: PlacementCloud) -> list[str]:
        wrong = []
        for route in ROUTES:
            path = route.path.replace("{uuid}", HOST).replace("{consumer_uuid}", SERVER)
            path = path.replace("{name}", "CUSTOM_X").replace("{resource_class}", "VCPU")
            if route.op == "placement:get:usages":
                path += "?project_id=p-other"
            answer = await cloud.ask(
                route.method, path, BODIES.get(route.path, {}), version=route.until or "1.39", token=token
            )
            expected = ALLOWED[token]
            if route.op == "placement:get:":
                expected = True
            elif route.path == "/reshaper":
                expected = token == "service"
            if (answer.status != 403) is not expected:
                wrong.append(f"{route.method} {route.path}: {answer.status}")
        return wrong

    assert told(story) == []


def test_a_reader_sees_the_usage_of_its_own_project_only(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> tuple[int, int]:
        own = await cloud.ask("GET", "/usages?project_id=p-member", token="member")
        foreign = await cloud.ask("GET", "/usages?project_id=p1", token="member")
        return own.status, foreign.status

    assert told(story) == (200, 403)


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    guarded = {route.policy for route in ROUTES if route.policy}
    assert guarded == {rule.name for rule in POLICIES if rule.name.startswith("placement:")}
    assert API.microversions is not None


def test_every_rule_names_its_operations() -> None:
    named = {(rule.name, *operation) for rule in POLICIES for operation in rule.operations}
    assert named == {(route.policy, route.method, route.path) for route in ROUTES if route.policy}
