"""Claims over HTTP: what consumers take, replace and give back, and what is refused."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pileus.placement.app.audit import audit
from tests.api.placement_cloud import PlacementCloud, claim_body, tell, uuid

A, B, GONE = uuid(1), uuid(2), uuid(99)
ONE, TWO, THREE = uuid(101), uuid(102), uuid(103)


@pytest.fixture
def told(run: Any, database: Any, runtime: Any) -> Callable[..., Any]:
    """Tells a story with two hosts; afterwards the audit is clean."""

    def with_hosts(story: Callable[[PlacementCloud], Any]) -> Any:
        async def whole(cloud: PlacementCloud) -> Any:
            memory = {"total": 1024, "min_unit": 64, "max_unit": 512, "step_size": 64}
            await cloud.host(A, VCPU=8, MEMORY_MB=memory)
            await cloud.host(B, VCPU=8, DISK_GB=100)
            result = await story(cloud)
            assert await audit(cloud.placement) == []
            return result

        return tell(run, database, runtime)(whole)

    return with_hosts


async def held(cloud: PlacementCloud, consumer: str) -> Mapping[str, Mapping[str, int]]:
    found = await cloud.get(f"/allocations/{consumer}")
    return {provider: each["resources"] for provider, each in found["allocations"].items()}


async def used(cloud: PlacementCloud, provider: str) -> Mapping[str, int]:
    usages: Mapping[str, int] = (await cloud.get(f"/resource_providers/{provider}/usages"))["usages"]
    return usages


async def generation(cloud: PlacementCloud, provider: str) -> int:
    return int((await cloud.get(f"/resource_providers/{provider}"))["generation"])


def test_a_claim_replaces_all_that_its_consumer_held(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 2, "MEMORY_MB": 64}})).status == 204
        assert (await cloud.claim(ONE, 1, amounts={A: {"VCPU": 1}, B: {"DISK_GB": 5}})).status == 204
        assert await held(cloud, ONE) == {A: {"VCPU": 1}, B: {"DISK_GB": 5}}
        assert await used(cloud, A) == {"VCPU": 1, "MEMORY_MB": 0}
        assert await used(cloud, B) == {"VCPU": 0, "DISK_GB": 5}

    told(story)


def test_a_consumer_that_releases_is_forgotten(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 2}})).status == 204
        before = await generation(cloud, A)
        assert (await cloud.ask("DELETE", f"/allocations/{ONE}")).status == 204
        assert (await cloud.ask("DELETE", f"/allocations/{ONE}")).status == 404
        assert await cloud.get(f"/allocations/{ONE}") == {"allocations": {}}
        assert await used(cloud, A) == {"VCPU": 0, "MEMORY_MB": 0}
        assert await generation(cloud, A) == before
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 8}})).status == 204

    told(story)


def test_a_claim_of_nothing_releases(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 2}})).status == 204
        assert (await cloud.claim(ONE, 7, amounts={})).status == 409
        assert (await cloud.claim(ONE, 1, amounts={})).status == 204
        assert await held(cloud, ONE) == {}
        assert (await cloud.claim(TWO, amounts={})).status == 204

    told(story)


def test_each_claim_advances_the_generations_of_consumer_and_provider(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        before = await generation(cloud, A)
        for expected in (None, 1, 2):
            assert (await cloud.claim(ONE, expected, amounts={A: {"VCPU": 1}})).status == 204
        assert (await cloud.get(f"/allocations/{ONE}"))["consumer_generation"] == 3
        assert await generation(cloud, A) == before + 3

    told(story)


REFUSED = [
    ({A: {"VCPU": 9}}, 409, "exceed the capacity"),
    ({A: {"MEMORY_MB": 32}}, 409, "violate inventory constraints"),
    ({A: {"MEMORY_MB": 1024}}, 409, "violate inventory constraints"),
    ({A: {"MEMORY_MB": 96}}, 409, "violate inventory constraints"),
    ({A: {"DISK_GB": 1}}, 409, "has no inventory of DISK_GB"),
    ({B: {"VCPU": 1}, A: {"VCPU": 9}}, 409, A),
    ({GONE: {"VCPU": 1}}, 400, "does not exist"),
    ({A: {"CUSTOM_NONE": 1}}, 400, "Unknown resource class"),
    ({A: {"VCPU": 0}}, 400, "VCPU"),
    ({A: {"VCPU": -1}}, 400, "VCPU"),
    ({A: {"VCPU": 1.5}}, 400, "VCPU"),
    ({A: {"VCPU": 1 << 70}}, 400, "VCPU"),
    ({A: {"vcpu": 1}}, 400, "vcpu"),
    ({A: {}}, 400, "non-empty"),
    ({"host": {"VCPU": 1}}, 400, "host"),
]


@pytest.mark.parametrize(("amounts", "status", "words"), REFUSED)
def test_what_cannot_be_claimed_is_refused_and_changes_nothing(
    told: Callable[..., Any], amounts: Any, status: int, words: str
) -> None:
    async def story(cloud: PlacementCloud) -> None:
        answer = await cloud.claim(ONE, amounts=amounts)
        assert answer.status == status
        assert words in answer.json()["errors"][0]["detail"]
        assert await held(cloud, ONE) == {}
        assert (await used(cloud, A), await used(cloud, B)) == (
            {"VCPU": 0, "MEMORY_MB": 0}, {"VCPU": 0, "DISK_GB": 0},
        )  # fmt: skip

    told(story)


@pytest.mark.parametrize(("first", "second"), [(None, None), (None, 0), (None, 2), (0, None), (1, None)])
def test_a_claim_that_knows_another_generation_is_refused(
    told: Callable[..., Any], first: int | None, second: int | None
) -> None:
    async def story(cloud: PlacementCloud) -> None:
        answers = [await cloud.claim(ONE, known, amounts={A: {"VCPU": 1}}) for known in (first, second)]
        refused = answers[1] if first is None else answers[0]
        assert (refused.status, refused.json()["errors"][0]["code"]) == (409, "placement.concurrent_update")
        assert await used(cloud, A) == {"VCPU": 1, "MEMORY_MB": 0}

    told(story)


def test_what_is_held_beyond_a_shrunken_inventory_can_only_shrink(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> list[int]:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 8}})).status == 204
        body = {"resource_provider_generation": await generation(cloud, A), "total": 4}
        assert (await cloud.ask("PUT", f"/resource_providers/{A}/inventories/VCPU", body)).status == 200
        statuses = [(await cloud.claim(TWO, amounts={A: {"VCPU": 1}})).status]
        statuses.append((await cloud.claim(ONE, 1, amounts={A: {"VCPU": 6}})).status)
        statuses.append((await cloud.claim(ONE, 2, amounts={A: {"VCPU": 7}})).status)
        statuses.append((await cloud.claim(ONE, 2, amounts={A: {"VCPU": 4}})).status)
        return statuses

    assert told(story) == [409, 204, 409, 204]


def test_many_consumers_change_together_or_not_at_all(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 8}})).status == 204
        moved = {ONE: claim_body(1, {B: {"VCPU": 8}}), TWO: claim_body(None, {A: {"VCPU": 8}})}
        assert (await cloud.ask("POST", "/allocations", moved)).status == 204
        assert (await held(cloud, ONE), await held(cloud, TWO)) == ({B: {"VCPU": 8}}, {A: {"VCPU": 8}})
        too_much = {ONE: claim_body(2, {}), THREE: claim_body(None, {A: {"VCPU": 1}})}
        assert (await cloud.ask("POST", "/allocations", too_much)).status == 409
        stale = {ONE: claim_body(2, {}), TWO: claim_body(7, {})}
        assert (await cloud.ask("POST", "/allocations", stale)).status == 409
        assert (await held(cloud, ONE), await held(cloud, THREE)) == ({B: {"VCPU": 8}}, {})

    told(story)


def test_usages_are_told_by_project_user_and_type(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 2}}, project="p1", user="u1")).status == 204
        moving = claim_body(None, {B: {"VCPU": 3, "DISK_GB": 1}}, "p1", "u2") | {"consumer_type": "MIGRATION"}
        assert (await cloud.ask("PUT", f"/allocations/{TWO}", moving)).status == 204
        assert (await cloud.claim(THREE, amounts={A: {"VCPU": 1}}, project="p2")).status == 204
        for query, expected in {
            "project_id=p1": {
                "INSTANCE": {"VCPU": 2, "consumer_count": 1},
                "MIGRATION": {"VCPU": 3, "DISK_GB": 1, "consumer_count": 1},
            },
            "project_id=p1&user_id=u2": {"MIGRATION": {"VCPU": 3, "DISK_GB": 1, "consumer_count": 1}},
            "project_id=p1&consumer_type=all": {"all": {"VCPU": 5, "DISK_GB": 1, "consumer_count": 2}},
            "project_id=p1&consumer_type=INSTANCE": {"INSTANCE": {"VCPU": 2, "consumer_count": 1}},
            "project_id=p1&consumer_type=unknown": {},
            "project_id=p3": {},
        }.items():
            assert await cloud.get(f"/usages?{query}") == {"usages": expected}
        total = await cloud.get("/usages?project_id=p1", version="1.37")
        assert total == {"usages": {"VCPU": 5, "DISK_GB": 1}}

    told(story)


def test_a_consumer_of_old_keeps_no_type_and_takes_one_later(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        old = {"allocations": [{"resource_provider": {"uuid": A}, "resources": {"VCPU": 1}}]}
        assert (await cloud.ask("PUT", f"/allocations/{ONE}", old, version="1.0")).status == 204
        found = await cloud.get(f"/allocations/{ONE}")
        assert (found["consumer_type"], found["project_id"]) == ("unknown", "00000000-0000-0000-0000-000000000000")
        assert (await cloud.claim(ONE, 1, amounts={A: {"VCPU": 1}})).status == 204
        assert (await cloud.get(f"/allocations/{ONE}"))["consumer_type"] == "INSTANCE"

    told(story)


def test_a_provider_tells_who_holds_what_of_it(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        assert (await cloud.claim(ONE, amounts={A: {"VCPU": 2, "MEMORY_MB": 64}, B: {"VCPU": 1}})).status == 204
        assert (await cloud.claim(TWO, amounts={A: {"VCPU": 1}})).status == 204
        found = await cloud.get(f"/resource_providers/{A}/allocations")
        assert found["allocations"] == {
            ONE: {"resources": {"VCPU": 2, "MEMORY_MB": 64}, "consumer_generation": 1},
            TWO: {"resources": {"VCPU": 1}, "consumer_generation": 1},
        }
        assert found["resource_provider_generation"] == await generation(cloud, A)

    told(story)


CHILD = uuid(3)


async def reshape(cloud: PlacementCloud, generations: tuple[int, int], claims: Any, vgpus: int = 4) -> Any:
    """Move VGPU from host A to its child."""
    body = {
        "inventories": {
            A: {"resource_provider_generation": generations[0], "inventories": {"VCPU": {"total": 8}}},
            CHILD: {"resource_provider_generation": generations[1], "inventories": {"VGPU": {"total": vgpus}}},
        },
        "allocations": claims,
    }
    return await cloud.ask("POST", "/reshaper", body)


async def with_vgpus(cloud: PlacementCloud) -> tuple[int, int]:
    body = {"resource_provider_generation": await generation(cloud, A),
            "inventories": {"VCPU": {"total": 8}, "VGPU": {"total": 4}}}  # fmt: skip
    assert (await cloud.ask("PUT", f"/resource_providers/{A}/inventories", body)).status == 200
    await cloud.host(CHILD, parent=A)
    assert (await cloud.claim(ONE, amounts={A: {"VCPU": 1, "VGPU": 3}})).status == 204
    return await generation(cloud, A), 0


def test_a_reshape_moves_what_is_held_to_another_provider(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> None:
        at = await with_vgpus(cloud)
        claims = {ONE: claim_body(1, {A: {"VCPU": 1}, CHILD: {"VGPU": 3}})}
        assert (await reshape(cloud, at, claims)).status == 204
        assert await held(cloud, ONE) == {A: {"VCPU": 1}, CHILD: {"VGPU": 3}}
        assert (await used(cloud, A), await used(cloud, CHILD)) == ({"VCPU": 1}, {"VGPU": 3})

    told(story)


@pytest.mark.parametrize(
    ("move", "consumer_at", "vgpus", "code"),
    [
        (0, 1, 2, "placement.undefined_code"),  # does not fit
        (0, 2, 4, "placement.concurrent_update"),
        (1, 1, 4, "placement.concurrent_update"),
    ],
)
def test_a_reshape_that_fails_changes_nothing(
    told: Callable[..., Any], move: int, consumer_at: int, vgpus: int, code: str
) -> None:
    async def story(cloud: PlacementCloud) -> None:
        at = await with_vgpus(cloud)
        claims = {ONE: claim_body(consumer_at, {A: {"VCPU": 1}, CHILD: {"VGPU": 3}})}
        refused = await reshape(cloud, (at[0] + move, at[1]), claims, vgpus)
        assert (refused.status, refused.json()["errors"][0]["code"]) == (409, code)
        assert await used(cloud, A) == {"VCPU": 1, "VGPU": 3}
        assert await used(cloud, CHILD) == {}

    told(story)


def test_a_reshape_that_forgets_a_consumer_is_refused(told: Callable[..., Any]) -> None:
    async def story(cloud: PlacementCloud) -> Any:
        return (await reshape(cloud, await with_vgpus(cloud), {})).json()["errors"][0]

    assert told(story)["code"] == "placement.inventory.inuse"
