"""The edges of placement's microversions: which operation, parameter and field exists from when to when."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.placement_cloud import PlacementCloud, claim_body, tell, uuid

A, B, SERVER, AGGREGATE = uuid(1), uuid(2), uuid(100), uuid(900)


@pytest.fixture
def told(run: Any, database: Any, runtime: Any) -> Callable[..., Any]:
    return tell(run, database, runtime)


EXISTS_FROM = [  # method, path, body, last version without, answer there, answer one version later
    ("GET", "/resource_classes", None, "1.1", 404, 200),
    ("POST", "/resource_classes", {"name": "CUSTOM_X"}, "1.1", 404, 201),
    ("GET", "/resource_classes/VCPU", None, "1.1", 404, 200),
    ("GET", f"/resource_providers/{A}/aggregates", None, "1.0", 404, 200),
    ("PUT", f"/resource_providers/{A}/aggregates", [AGGREGATE], "1.0", 404, 200),
    ("DELETE", f"/resource_providers/{B}/inventories", None, "1.4", 405, 204),
    ("GET", "/traits", None, "1.5", 404, 200),
    ("PUT", "/traits/CUSTOM_T", None, "1.5", 404, 201),
    ("GET", f"/resource_providers/{A}/traits", None, "1.5", 404, 200),
    ("DELETE", f"/resource_providers/{A}/traits", None, "1.5", 404, 204),
    ("GET", "/usages?project_id=p1", None, "1.8", 404, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1", None, "1.9", 404, 200),
    ("POST", "/allocations", {SERVER: claim_body(1, {A: {"VCPU": 1}})}, "1.12", 404, 400),
    ("POST", "/reshaper", {}, "1.29", 404, 400),
    # parameters
    ("GET", f"/resource_providers?member_of={AGGREGATE}", None, "1.2", 400, 200),
    ("GET", "/resource_providers?resources=VCPU:1", None, "1.3", 400, 200),
    ("GET", f"/resource_providers?in_tree={A}", None, "1.13", 400, 200),
    ("GET", "/resource_providers?required=COMPUTE_NODE", None, "1.17", 400, 200),
    ("GET", "/resource_providers?required=!COMPUTE_NODE", None, "1.21", 400, 200),
    ("GET", f"/resource_providers?member_of={AGGREGATE}&member_of={A}", None, "1.23", 400, 200),
    ("GET", f"/resource_providers?member_of=!{AGGREGATE}", None, "1.31", 400, 200),
    ("GET", "/resource_providers?required=in:COMPUTE_NODE", None, "1.38", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&limit=1", None, "1.15", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&required=COMPUTE_NODE", None, "1.16", 400, 200),
    ("GET", f"/allocation_candidates?resources=VCPU:1&member_of={AGGREGATE}", None, "1.20", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&required=!COMPUTE_NODE", None, "1.21", 400, 200),
    ("GET", "/allocation_candidates?resources1=VCPU:1", None, "1.24", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&group_policy=none", None, "1.24", 400, 200),
    ("GET", f"/allocation_candidates?resources=VCPU:1&in_tree={A}", None, "1.30", 400, 200),
    ("GET", f"/allocation_candidates?resources=VCPU:1&member_of=!{AGGREGATE}", None, "1.31", 400, 200),
    ("GET", "/allocation_candidates?resources_cpu=VCPU:1", None, "1.32", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&root_required=COMPUTE_NODE", None, "1.34", 400, 200),
    ("GET", "/allocation_candidates?resources1=VCPU:1&same_subtree=1", None, "1.35", 400, 200),
    ("GET", "/allocation_candidates?resources=VCPU:1&required=in:COMPUTE_NODE", None, "1.38", 400, 200),
    ("GET", "/usages?project_id=p1&consumer_type=INSTANCE", None, "1.37", 400, 200),
]


def next_version(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"


@pytest.mark.parametrize(("method", "path", "body", "version", "before", "after"), EXISTS_FROM)
def test_nothing_exists_before_its_version(
    told: Callable[..., Any], method: str, path: str, body: Any, version: str, before: int, after: int
) -> None:
    async def story(cloud: PlacementCloud) -> tuple[int, int]:
        await cloud.host(A, VCPU=8)
        await cloud.host(B)
        early = await cloud.ask(method, path, body, version=version)
        late = await cloud.ask(method, path, body, version=next_version(version))
        return early.status, late.status

    assert told(story) == (before, after)


BODIES = [  # what is put, last version that refuses it, first that takes it (or the reverse)
    (f"/resource_providers/{B}", {"name": "b", "parent_provider_uuid": A}, "1.13", 400, "1.14", 200),
    (f"/resource_providers/{B}/aggregates", {"aggregates": [], "resource_provider_generation": 0}, "1.18", 400,
     "1.19", 200),
    (f"/resource_providers/{A}/inventories", {"resource_provider_generation": 1, "inventories": {
        "VCPU": {"total": 8, "reserved": 8}}}, "1.25", 400, "1.26", 200),
    (f"/allocations/{SERVER}", {"allocations": [{"resource_provider": {"uuid": A}, "resources": {"VCPU": 1}}]},
     "1.8", 400, "1.7", 204),
    (f"/allocations/{SERVER}", {"allocations": {A: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u"},
     "1.11", 400, "1.12", 204),
    (f"/allocations/{SERVER}", {"allocations": {}, "project_id": "p", "user_id": "u", "consumer_generation": None},
     "1.27", 400, "1.28", 204),
    (f"/allocations/{SERVER}", {"allocations": {A: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
     "consumer_generation": None, "mappings": {"": [A]}}, "1.33", 400, "1.34", 204),
    (f"/allocations/{SERVER}", claim_body(None, {A: {"VCPU": 1}}), "1.37", 400, "1.38", 204),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "one", "answer_one", "other", "answer_other"), BODIES)
def test_bodies_are_those_of_their_version(
    told: Callable[..., Any], path: str, body: Any, one: str, answer_one: int, other: str, answer_other: int
) -> None:
    async def story(cloud: PlacementCloud) -> tuple[int, int]:
        await cloud.host(A, VCPU=8)
        await cloud.host(B, name="b")
        first = await cloud.ask("PUT", path, body, version=one)
        second = await cloud.ask("PUT", path, body, version=other)
        return first.status, second.status

    assert told(story) == (answer_one, answer_other)


def test_fields_appear_with_their_version(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, VCPU=8)
        assert (await cloud.claim(SERVER, amounts={A: {"VCPU": 1}})).status == 204
        for version, links in {"1.0": 3, "1.1": 4, "1.6": 5, "1.11": 6}.items():
            assert len((await cloud.get(f"/resource_providers/{A}", version=version))["links"]) == links
        assert "root_provider_uuid" not in await cloud.get(f"/resource_providers/{A}", version="1.13")
        assert (await cloud.get(f"/resource_providers/{A}", version="1.14"))["root_provider_uuid"] == A
        for version, fields in {
            "1.11": {"allocations"},
            "1.12": {"allocations", "project_id", "user_id"},
            "1.28": {"allocations", "project_id", "user_id", "consumer_generation"},
            "1.38": {"allocations", "project_id", "user_id", "consumer_generation", "consumer_type"},
        }.items():
            assert set(await cloud.get(f"/allocations/{SERVER}", version=version)) == fields
        assert await cloud.get("/usages?project_id=p1", version="1.37") == {"usages": {"VCPU": 1}}
        assert await cloud.get("/usages?project_id=p1", version="1.38") == {
            "usages": {"INSTANCE": {"VCPU": 1, "consumer_count": 1}}
        }

    told(story)


def test_candidates_are_shown_as_their_version_knows_them(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, VCPU=8, MEMORY_MB=1024)
        shown = {
            version: await cloud.get("/allocation_candidates?resources=VCPU:1", version=version)
            for version in ("1.10", "1.12", "1.17", "1.27", "1.29", "1.34")
        }
        listed = [{"resource_provider": {"uuid": A}, "resources": {"VCPU": 1}}]
        assert shown["1.10"]["allocation_requests"] == [{"allocations": listed}]
        assert shown["1.12"]["allocation_requests"] == [{"allocations": {A: {"resources": {"VCPU": 1}}}}]
        assert shown["1.34"]["allocation_requests"][0]["mappings"] == {"": [A]}
        summaries = {version: each["provider_summaries"][A] for version, each in shown.items()}
        assert summaries["1.12"] == {"resources": {"VCPU": {"capacity": 8, "used": 0}}}
        assert summaries["1.17"]["traits"] == []
        assert set(summaries["1.17"]["resources"]) == {"VCPU"}
        assert set(summaries["1.27"]["resources"]) == {"VCPU", "MEMORY_MB"}
        assert summaries["1.29"]["root_provider_uuid"] == A

    told(story)


def test_creating_a_provider_answers_with_it_from_1_20(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        old = await cloud.ask("POST", "/resource_providers", {"name": "a", "uuid": A}, version="1.19")
        new = await cloud.ask("POST", "/resource_providers", {"name": "b", "uuid": B}, version="1.20")
        assert (old.status, old.body, new.status, new.json()["uuid"]) == (201, b"", 200, B)
        assert old.headers["location"].endswith(f"/resource_providers/{A}")

    told(story)


def test_a_resource_class_is_renamed_up_to_1_6_and_ensured_from_1_7(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        path = "/resource_classes/CUSTOM_OLD"
        assert (await cloud.ask("PUT", path, version="1.7")).status == 201
        assert (await cloud.ask("PUT", path, version="1.7")).status == 204
        await cloud.host(A, CUSTOM_OLD=4)
        assert (await cloud.claim(SERVER, amounts={A: {"CUSTOM_OLD": 1}})).status == 204
        assert (await cloud.ask("PUT", path, {"name": "CUSTOM_NEW"}, version="1.6")).status == 200
        assert (await cloud.ask("GET", path)).status == 404
        assert (await cloud.get(f"/resource_providers/{A}/usages"))["usages"] == {"CUSTOM_NEW": 1}

    told(story)


def test_times_and_codes_are_told_from_their_version_on(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A)
        for version, is_told in {"1.14": False, "1.15": True}.items():
            headers = (await cloud.ask("GET", f"/resource_providers/{A}", version=version)).headers
            assert ("last-modified" in headers, headers.get("cache-control") == "no-cache") == (is_told, is_told)
        for version, is_told in {"1.22": False, "1.23": True}.items():
            error = (await cloud.ask("GET", f"/resource_providers/{B}", version=version)).json()["errors"][0]
            assert ("code" in error) is is_told

    told(story)


def test_versions_are_negotiated_echoed_and_refused(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        for asked, answered in {"": "1.0", "1.7": "1.7", "latest": "1.39"}.items():
            answer = await cloud.ask("GET", "/resource_providers", version=asked)
            assert answer.headers["openstack-api-version"] == f"placement {answered}"
            assert answer.headers["vary"] == "openstack-api-version"
        assert (await cloud.ask("GET", "/resource_providers", version="nonsense")).status == 400
        refused = await cloud.ask("GET", "/resource_providers", version="1.40")
        assert refused.status == 406
        error = refused.json()["errors"][0]
        assert (error["min_version"], error["max_version"], error["status"]) == ("1.0", "1.39", 406)

    told(story)
