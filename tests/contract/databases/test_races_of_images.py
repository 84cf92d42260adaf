"""Whoever races in the image service: bytes come once, ids are never given again, quotas hold."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.image.app.audit import audit
from pileus.image.domain.image import Limits
from pileus.image.store import members
from tests.contract.databases.races import MANY, ROUNDS, at_once, statuses, warm
from tests.unit.image.api.cloud import ImageCloud

Story = Callable[[ImageCloud, ImageCloud], Awaitable[None]]
RAW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def race(kind: str, tmp_path: Path) -> Callable[..., None]:
    """Runs a story with two processes of the image service over one store."""

    def play(story: Story, limits: Limits | None = None) -> None:
        async def whole() -> None:
            async with ImageCloud(tmp_path, limits) as one, ImageCloud(tmp_path, limits, one.store) as two:
                await warm(one.database, two.database)
                await story(one, two)
                assert await audit(one.service) == []

        asyncio.run(whole())

    return play


async def raced(one: ImageCloud, two: ImageCloud, method: str, path: str, *bodies: Any) -> Any:
    return await at_once((one, two)[n % 2].call(method, f"/v2{path}", body) for n, body in enumerate(bodies))


def test_an_image_gets_its_bytes_once(race: Callable[..., None]) -> None:
    async def story(one: ImageCloud, two: ImageCloud) -> None:
        for _ in range(ROUNDS):
            image = await one.create(**RAW)
            path = f"/images/{image['id']}/file"
            answers = await raced(one, two, "PUT", path, *[bytes([n]) * 4096 for n in range(6)])
            assert statuses(answers) == {204: 1, 409: 5}
            (winner,) = [n for n, answer in enumerate(answers) if answer.status == 204]
            assert (await two.call("GET", f"/v2{path}")).body == bytes([winner]) * 4096

    race(story)


def test_projects_stay_within_their_limits(race: Callable[..., None]) -> None:
    async def story(one: ImageCloud, two: ImageCloud) -> None:
        answers = await raced(one, two, "POST", "/images", *[RAW] * MANY)
        assert statuses(answers) == {201: 5, 413: MANY - 5}
        made = [answer.json["id"] for answer in answers if answer.status == 201]
        sent = await at_once((one, two)[n % 2].upload(image, bytes(1000)) for n, image in enumerate(made))
        assert statuses(sent) == {204: 3, 413: 2}

    race(story, Limits(project_images=5, project_bytes=3500))


def test_an_id_is_never_given_again(race: Callable[..., None]) -> None:
    async def story(one: ImageCloud, two: ImageCloud) -> None:
        for number in range(ROUNDS):
            image_id = f"{number:08d}-0000-4000-8000-000000000000"
            body = {"id": image_id, **RAW}
            assert statuses(await raced(one, two, "POST", "/images", *[body] * 6)) == {201: 1, 409: 5}
            asked = [(one, two)[n % 2].call("POST", "/v2/images", body) for n in range(6)]
            asked.insert(number, two.call("DELETE", f"/v2/images/{image_id}"))
            assert statuses(await at_once(asked)) == {204: 1, 409: 6}

    race(story)


def test_every_change_of_an_image_is_there(race: Callable[..., None]) -> None:
    async def story(one: ImageCloud, two: ImageCloud) -> None:
        image = await one.create(**RAW)
        changes = [{"op": "add", "path": f"/k{number}", "value": "v"} for number in range(MANY)]
        answers = await at_once((one, two)[n % 2].patch(image["id"], one_) for n, one_ in enumerate(changes))
        assert statuses(answers) == {200: MANY}
        shown = await two.show(image["id"])
        assert all(shown[f"k{number}"] == "v" for number in range(MANY))

    race(story)


def test_members_come_once_and_none_stays_of_an_image_that_goes(race: Callable[..., None]) -> None:
    async def story(one: ImageCloud, two: ImageCloud) -> None:
        for number in range(ROUNDS):
            image = (await one.create(visibility="shared", **RAW))["id"]
            path = f"/images/{image}/members"
            assert statuses(await raced(one, two, "POST", path, *[{"member": "bob"}] * 6)) == {200: 1, 409: 5}
            asked = [(one, two)[n % 2].call("POST", f"/v2{path}", {"member": f"m{n}"}) for n in range(4)]
            asked.insert(number, two.call("DELETE", f"/v2/images/{image}"))
            assert set(statuses(await at_once(asked))) <= {200, 204, 404}
            assert await members.of(one.service.database, image) == []

    race(story)
