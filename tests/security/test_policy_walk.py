"""Every route of every service, by everybody: who the published default excludes never succeeds, who it lets in does.

The walk has one cloud. First all ask for what they may not have: nothing may change by that, so the order says nothing.
Then all ask for what they may, and are stopped as soon as policy has let them in, so that nothing changes either.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from pileus.foundation import errors
from pileus.foundation.context import Context
from pileus.foundation.http.app import Api
from pileus.foundation.http.client import Answer
from pileus.foundation.http.route import Route
from pileus.foundation.policy import Policy
from tests.cloud import SERVICES, World
from tests.conftest import Run
from tests.security.asking import UNMADE, ask
from tests.security.rights import PEOPLE, belongs_to_a_project, may, parameters
from tests.security.stage import Stage

STRANGERS = ("member@blue", "manager@blue")


def routes(world: World) -> Iterator[tuple[str, Api, Route]]:
    for name in SERVICES:
        api = world.cloud._apps[name].api
        for route in api.routes:
            yield name, api, route


def refusals(route: Route, who: str) -> set[int]:
    """The statuses that may tell `who` that this is not for them."""
    if who == "nobody":
        return {401}
    if who in STRANGERS and belongs_to_a_project(route) and not _names_a_project(route):
        return {404, 400} if route.op == "compute:post:servers" else {404}  # 403 would tell that it is there
    if who.endswith(("@system", "@domain")) and route.method == "POST":
        return {400, 403, 404}  # whose thing should it be
    return {403, 404} if parameters(route) or belongs_to_a_project(route) else {403}


def _names_a_project(route: Route) -> bool:
    """Whether a project itself is named: that it exists is no secret of its things."""
    return bool(parameters(route) & {"project_id", "target_project_id", "tenant_id"}) or "usage" in route.path


def is_open_list(name: str, route: Route) -> bool:
    return name == "networking" and route.method == "GET" and "{" not in route.path


def test_who_is_excluded_never_succeeds_and_who_is_let_in_does(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        stage = await Stage(world).build()
        unmade = {(name, one) for name, _, route in routes(world) for one in parameters(route) - stage.ids.keys()}
        assert {one for _, one in unmade} <= UNMADE, f"make one of each in stage.py: {sorted(unmade)}"
        bad = [one async for one in _excluded(stage)]
        for name in SERVICES:  # one at a time: the others go on answering it
            app = world.cloud._apps[name]
            policy, app.policy = app.policy, Decisions(app.policy)
            bad += [one async for one in _admitted(stage, name, app.api)]
            app.policy = policy
        await world.stop()
        return bad

    bad = run(scenario)
    assert not bad, f"{len(bad)}:\n" + "\n".join(bad)


async def _excluded(stage: Stage) -> AsyncIterator[str]:
    for name, api, route in routes(stage.world):
        for who in PEOPLE:
            if may(route, who):
                continue
            answer = await ask(stage, f"/{name}", api, route, who)
            if is_open_list(name, route) and who != "nobody" and answer.status == 200:
                if stage.ids["project_id"].encode() in answer.body:
                    yield _told(route, who, answer, "nothing of red")
            elif answer.status not in refusals(route, who):
                yield _told(route, who, answer, refusals(route, who))


class LetIn(errors.Error):
    """Policy said yes: the walk wants its decision, not what would follow from it."""

    status, code, message = 418, "walk.let-in", "let in"


class Decisions(Policy):
    """A service's own policy, which stops a request once it has been let in."""

    def __init__(self, policy: Policy):
        self._checks = policy._checks

    def check(self, rule: str, context: Context, target: Mapping[str, Any]) -> None:
        super().check(rule, context, target)
        raise LetIn()


async def _admitted(stage: Stage, name: str, api: Api) -> AsyncIterator[str]:
    for route in api.routes:
        for who in PEOPLE:
            if not may(route, who):
                continue
            answer = await ask(stage, f"/{name}", api, route, who)
            if answer.status != LetIn.status and not 200 <= answer.status < 400 and not _is_about_nobody(route):
                yield _told(route, who, answer, "let in")


def _is_about_nobody(route: Route) -> bool:
    """Whether nobody's rights are asked: no token, or a thing that comes and goes by itself."""
    return route.policy is None or bool(parameters(route) & UNMADE)


def _told(route: Route, who: str, answer: Answer, expected: object) -> str:
    what = f"{route.op} {route.since} as {who}"
    return f"{what}: {answer.status} instead of {expected}: {answer.body[:160]!r}"
