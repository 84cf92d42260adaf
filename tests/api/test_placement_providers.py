"""Providers over HTTP: their trees, inventories, traits, aggregates and classes."""

from collections.abc import Callable
from typing import Any

import pytest

from pileus.placement.app.audit import audit
from tests.api.placement_cloud import PlacementCloud, tell, uuid

A, B, C, GONE, SERVER, AGGREGATE = uuid(1), uuid(2), uuid(3), uuid(99), uuid(100), uuid(900)


@pytest.fixture
def told(run: Any, database: Any, runtime: Any) -> Callable[..., Any]:
    """Tells a story; afterwards the audit is clean."""

    def audited(story: Callable[[PlacementCloud], Any]) -> Any:
        async def whole(cloud: PlacementCloud) -> Any:
            result = await story(cloud)
            assert await audit(cloud.placement) == []
            return result

        return tell(run, database, runtime)(whole)

    return audited


async def code(cloud: PlacementCloud, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = await cloud.ask(method, path, body)
    return answer.status, answer.json()["errors"][0]["code"].removeprefix("placement.") if answer.body else ""


async def names(cloud: PlacementCloud, query: str) -> list[str]:
    found = (await cloud.get(f"/resource_providers?{query}"))["resource_providers"]
    return [each["name"] for each in found]


def test_names_and_uuids_are_unique(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, name="a")
        await cloud.host(B, name="b")
        assert await code(cloud, "POST", "/resource_providers", {"name": "a"}) == (409, "duplicate_name")
        assert await code(cloud, "POST", "/resource_providers", {"name": "c", "uuid": A}) == (409, "duplicate_name")
        assert await code(cloud, "PUT", f"/resource_providers/{B}", {"name": "a"}) == (409, "duplicate_name")
        assert (await cloud.ask("PUT", f"/resource_providers/{B}", {"name": "b"})).status == 200

    told(story)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": ""}, {"name": "x" * 201}, {"name": 5}, {"name": "x", "uuid": "y"}, {"name": "a\x00b"}, [], "x",
        {"name": "x", "parent_provider_uuid": GONE}, {"name": "x", "uuid": A, "parent_provider_uuid": A},
    ],
)  # fmt: skip
def test_providers_that_cannot_be_are_refused(told: Callable[..., Any], body: Any) -> None:
    async def story(cloud: PlacementCloud) -> int:
        return (await cloud.ask("POST", "/resource_providers", body)).status

    assert told(story) == 400


def test_a_tree_grows_moves_and_shrinks(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, name="a")
        await cloud.host(B, name="b", parent=A)
        await cloud.host(C, name="c", parent=B)
        assert await names(cloud, f"in_tree={C}") == ["a", "b", "c"]
        assert await code(cloud, "DELETE", f"/resource_providers/{B}") == (
            409,
            "resource_provider.cannot_delete_parent",
        )
        loop = {"name": "a", "parent_provider_uuid": C}
        assert (await cloud.ask("PUT", f"/resource_providers/{A}", loop)).status == 400
        out = {"name": "b", "parent_provider_uuid": None}
        assert (await cloud.ask("PUT", f"/resource_providers/{B}", out, version="1.36")).status == 400
        moved = await cloud.ask("PUT", f"/resource_providers/{B}", out)
        assert (moved.json()["root_provider_uuid"], moved.json()["parent_provider_uuid"]) == (B, None)
        assert await names(cloud, f"in_tree={C}") == ["b", "c"]
        for each in (C, B, A):
            assert (await cloud.ask("DELETE", f"/resource_providers/{each}")).status == 204
        assert await names(cloud, "") == []

    told(story)


def test_a_provider_that_is_held_stays(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, VCPU=8, DISK_GB=10)
        assert (await cloud.claim(SERVER, amounts={A: {"VCPU": 1}})).status == 204
        assert await code(cloud, "DELETE", f"/resource_providers/{A}") == (409, "resource_provider.inuse")
        inventories = f"/resource_providers/{A}/inventories"
        assert await code(cloud, "DELETE", inventories) == (409, "inventory.inuse")
        assert await code(cloud, "DELETE", f"{inventories}/VCPU") == (409, "inventory.inuse")
        generation = (await cloud.get(inventories))["resource_provider_generation"]
        without = {"resource_provider_generation": generation, "inventories": {"DISK_GB": {"total": 5}}}
        assert await code(cloud, "PUT", inventories, without) == (409, "inventory.inuse")
        assert set((await cloud.get(inventories))["inventories"]) == {"VCPU", "DISK_GB"}
        assert (await cloud.ask("DELETE", f"{inventories}/DISK_GB")).status == 204
        assert (await cloud.ask("DELETE", f"{inventories}/DISK_GB")).status == 404
        assert (await cloud.ask("DELETE", f"/allocations/{SERVER}")).status == 204
        assert (await cloud.ask("DELETE", f"/resource_providers/{A}")).status == 204
        assert (await cloud.ask("GET", inventories)).status == 404

    told(story)


def test_every_change_of_what_a_provider_has_needs_its_generation(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, VCPU=8)
        own = f"/resource_providers/{A}"
        changes: list[tuple[str, str, dict[str, Any]]] = [
            ("PUT", f"{own}/inventories", {"inventories": {"VCPU": {"total": 4}}}),
            ("PUT", f"{own}/inventories/VCPU", {"total": 5}),
            ("PUT", f"{own}/traits", {"traits": ["COMPUTE_NODE"]}),
            ("PUT", f"{own}/aggregates", {"aggregates": [AGGREGATE]}),
        ]
        for method, path, body in changes:
            generation = (await cloud.get(own))["generation"]
            stale = body | {"resource_provider_generation": generation - 1}
            assert await code(cloud, method, path, stale) == (409, "concurrent_update")
            fresh = await cloud.ask(method, path, body | {"resource_provider_generation": generation})
            assert (fresh.status, fresh.json()["resource_provider_generation"]) == (200, generation + 1)
        stale = {"resource_class": "DISK_GB", "total": 1, "resource_provider_generation": 0}
        assert await code(cloud, "POST", f"{own}/inventories", stale) == (409, "concurrent_update")

    told(story)


def test_an_inventory_is_shown_whole_with_its_defaults(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A)
        own = f"/resource_providers/{A}/inventories"
        record = {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
                  "allocation_ratio": 1.0}  # fmt: skip
        made = await cloud.ask("POST", own, {"resource_class": "VCPU", "total": 8})
        assert (made.status, made.json()) == (201, {"resource_provider_generation": 1} | record)
        assert made.headers["location"].endswith(f"{own}/VCPU")
        assert (await cloud.ask("POST", own, {"resource_class": "VCPU", "total": 8})).status == 409
        assert await cloud.get(f"{own}/VCPU") == {"resource_provider_generation": 1} | record
        assert (await cloud.get(own))["inventories"] == {"VCPU": record}
        assert (await cloud.ask("GET", f"{own}/DISK_GB")).status == 404
        assert (await cloud.ask("DELETE", own)).status == 204
        assert (await cloud.get(own))["inventories"] == {}

    told(story)


@pytest.mark.parametrize(
    "record",
    [
        {"total": 0}, {"total": 1 << 31}, {"total": 1, "reserved": 2}, {"total": 1, "min_unit": 0}, {"total": True},
        {"total": 1, "allocation_ratio": -1}, {"total": 1, "colour": 1}, {"total": 1.5}, {}, {"total": 1 << 80},
    ],
)  # fmt: skip
def test_inventories_that_say_nothing_sensible_are_refused(told: Callable[..., Any], record: Any) -> None:
    async def story(cloud: PlacementCloud) -> int:
        await cloud.host(A)
        body = {"resource_provider_generation": 0, "inventories": {"VCPU": record}}
        return (await cloud.ask("PUT", f"/resource_providers/{A}/inventories", body)).status

    assert told(story) == 400


def test_inventories_are_of_known_classes(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A)
        own = f"/resource_providers/{A}/inventories"
        gold = {"resource_provider_generation": 0, "inventories": {"CUSTOM_GOLD": {"total": 1}}}
        assert (await cloud.ask("PUT", own, gold)).status == 400
        assert (await cloud.ask("PUT", "/resource_classes/CUSTOM_GOLD")).status == 201
        assert (await cloud.ask("PUT", own, gold)).status == 200
        assert (await cloud.ask("DELETE", "/resource_classes/CUSTOM_GOLD")).status == 409
        assert (await cloud.ask("DELETE", own)).status == 204
        assert (await cloud.ask("DELETE", "/resource_classes/CUSTOM_GOLD")).status == 204
        assert (await cloud.ask("DELETE", "/resource_classes/CUSTOM_GOLD")).status == 404

    told(story)


def test_standard_classes_and_traits_stay(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        classes = [each["name"] for each in (await cloud.get("/resource_classes"))["resource_classes"]]
        assert classes[:3] == ["VCPU", "MEMORY_MB", "DISK_GB"]
        assert {"HW_CPU_X86_VMX", "COMPUTE_NODE", "MISC_SHARES_VIA_AGGREGATE"} <= set(
            (await cloud.get("/traits"))["traits"]
        )
        for path in ("/resource_classes/VCPU", "/traits/HW_CPU_X86_VMX"):
            assert (await cloud.ask("DELETE", path)).status == 400
            assert (await cloud.ask("PUT", path)).status == 400
            assert (await cloud.ask("GET", path)).status in (200, 204)
        for path in ("/resource_classes/NONE", "/traits/NONE", "/traits/none", "/resource_classes/no%20ne"):
            assert (await cloud.ask("GET", path)).status == 404
        for path in ("/traits/custom_x", "/traits/X", "/traits/CUSTOM_" + "A" * 250, "/resource_classes/X"):
            assert (await cloud.ask("PUT", path)).status == 400
        assert (await cloud.ask("POST", "/resource_classes", {"name": "VCPU"})).status == 400

    told(story)


def test_traits_are_set_found_and_taken(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, name="a")
        await cloud.host(B, name="b")
        own = f"/resource_providers/{A}/traits"
        wanted = {"resource_provider_generation": 0, "traits": ["CUSTOM_FAST", "COMPUTE_NODE"]}
        assert (await cloud.ask("PUT", own, wanted)).status == 400
        assert (await cloud.ask("PUT", "/traits/CUSTOM_FAST")).status == 201
        assert (await cloud.ask("PUT", own, wanted)).json() == {
            "resource_provider_generation": 1, "traits": ["COMPUTE_NODE", "CUSTOM_FAST"],
        }  # fmt: skip
        assert (await cloud.get(own))["traits"] == ["COMPUTE_NODE", "CUSTOM_FAST"]
        for query, expected in {
            "required=CUSTOM_FAST": ["a"],
            "required=!CUSTOM_FAST": ["b"],
            "required=in:CUSTOM_FAST,HW_CPU_X86_VMX": ["a"],
            "required=CUSTOM_FAST&required=!COMPUTE_NODE": [],
        }.items():
            assert await names(cloud, query) == expected
        assert (await cloud.ask("GET", "/resource_providers?required=CUSTOM_NONE")).status == 400
        for query, expected in {
            "name=startswith:CUSTOM": ["CUSTOM_FAST"],
            "name=in:CUSTOM_FAST,COMPUTE_NODE,NONE": ["COMPUTE_NODE", "CUSTOM_FAST"],
            "associated=true": ["COMPUTE_NODE", "CUSTOM_FAST"],
            "associated=false&name=startswith:CUSTOM": [],
        }.items():
            assert (await cloud.get(f"/traits?{query}"))["traits"] == expected
        assert (await cloud.ask("DELETE", "/traits/CUSTOM_FAST")).status == 409
        assert (await cloud.ask("DELETE", own)).status == 204
        assert (await cloud.get(own)) == {"resource_provider_generation": 2, "traits": []}
        assert (await cloud.ask("DELETE", "/traits/CUSTOM_FAST")).status == 204

    told(story)


def test_providers_are_found_by_aggregates_and_by_room(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        await cloud.host(A, name="a", VCPU=8, MEMORY_MB={"total": 1024, "step_size": 64, "min_unit": 64})
        await cloud.host(B, name="b", VCPU=2)
        body = {"resource_provider_generation": 1, "aggregates": [AGGREGATE]}
        assert (await cloud.ask("PUT", f"/resource_providers/{A}/aggregates", body)).status == 200
        assert (await cloud.claim(SERVER, amounts={A: {"VCPU": 2}})).status == 204
        for query, expected in {
            f"member_of={AGGREGATE}": ["a"],
            f"member_of=!{AGGREGATE}": ["b"],
            f"member_of=in:{AGGREGATE},{GONE}": ["a"],
            f"member_of={AGGREGATE}&member_of={GONE}": [],
            "resources=VCPU:2": ["a", "b"],
            "resources=VCPU:7": [],
            "resources=VCPU:1,MEMORY_MB:128": ["a"],
            "resources=MEMORY_MB:100": [],
            "name=b": ["b"],
            f"uuid={A}": ["a"],
        }.items():
            assert await names(cloud, query) == expected, query
        for query in ("resources=CUSTOM_NONE:1", "uuid=x", "colour=red", "member_of=x", "resources=VCPU"):
            assert (await cloud.ask("GET", f"/resource_providers?{query}")).status == 400

    told(story)


@pytest.mark.parametrize("path", ["", "/inventories", "/usages", "/traits", "/aggregates", "/allocations"])
@pytest.mark.parametrize("unknown", [GONE, "x", "%00", "a%2Fb"])
def test_a_provider_that_is_not_there_has_nothing(told: Callable[..., Any], path: str, unknown: str) -> None:
    async def story(cloud: PlacementCloud) -> int:
        return (await cloud.ask("GET", f"/resource_providers/{unknown}{path}")).status

    assert told(story) == 404
