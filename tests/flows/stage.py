"""The stage on which flows are tested: a cloud with two users and what they need, copied for every trial.

A `Scenario` is a request that begins a flow, and how to tell from outside whether what it asked for came true. `play`
performs it once with one misfortune and lets the cloud come to rest, through as many lives as that takes.
"""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pileus.foundation.simulation import simulate
from tests.cloud import Life, Lost, User, World
from tests.holdings import Holdings, holdings, violations

SEED = 20  # of a play; what was built before has another, or ids would come twice
SMALL = {"vcpus": "8", "ram_mib": "8192", "disk_gib": "100"}


class Stage:
    """A world with its people and things, by name."""

    def __init__(self, world: World, ids: dict[str, str]):
        self.world = world
        self.ids = ids
        self.user: User
        self.admin: User

    async def enter(self) -> None:
        self.admin = await self.world.admin()
        self.user = await self.world.login("ann", "password of ann", "red")

    def held(self) -> Holdings:
        return holdings(self.world.state_dir)

    async def launch(self, name: str, **facts: Any) -> str:
        """A server of the user, at rest; its id is kept by its name."""
        self.ids[name] = await self.promise(name, **facts)
        await self.user.at_rest(self.ids[name])
        return self.ids[name]

    async def promise(self, name: str, **facts: Any) -> str:
        facts.setdefault("networks", [{"uuid": self.ids["network"]}])
        facts.setdefault("image", self.ids["image"])
        return await self.user.launch(name, flavor=self.ids["flavor"], **facts)

    async def named(self, name: str) -> list[str]:
        """The ids of the user's servers of this name."""
        found = await self.user.get("compute", "/servers", query={"name": f"^{name}$"})
        return [server["id"] for server in found["servers"]]


Did = Callable[[Stage], Awaitable[Any]]
Seen = Callable[[Stage, Holdings], bool]


@dataclass(frozen=True)
class Scenario:
    """One way in which a flow is begun.

    `ask` puts the request; `complete` and `undone` judge the outcome from outside. A failure may also leave what
    `broken` sees: something that says so and can be asked for again, or deleted.
    """

    name: str
    flows: tuple[str, ...]
    prepare: Did
    ask: Did
    complete: Seen
    undone: Seen
    broken: Seen = field(default=lambda stage, held: False)

    def __str__(self) -> str:
        return self.name


@dataclass
class Seam:
    """A place that was reached: which, of which flow and step."""

    number: int
    point: str
    facts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number} {self.point} {' '.join(self.facts)}"


class Trouble:
    """What happens at seams. This one only counts them."""

    boot_id = ""  # what the kernel calls the boot after a crash; empty: the same one

    def __init__(self) -> None:
        self.stage: Stage
        self.seams: list[Seam] = []
        self.besides: list[asyncio.Future[None]] = []  # what goes on beside the scenario

    def __call__(self, life: Life, point: str, *facts: str) -> None:
        seam = Seam(len(self.seams) + 1, point, facts)
        self.seams.append(seam)
        self.befall(life, seam)

    def befall(self, life: Life, seam: Seam) -> None:
        """What happens here."""


@dataclass
class Outcome:
    """What was left when all had come to rest."""

    scenario: Scenario
    stage: Stage
    held: Holdings
    seams: list[Seam]
    audit: list[dict[str, Any]]

    @property
    def wrong(self) -> list[str]:
        return [*violations(self.held), *(f"audit: {finding}" for finding in self.audit)]

    @property
    def is_complete(self) -> bool:
        return self.scenario.complete(self.stage, self.held)

    @property
    def is_undone(self) -> bool:
        return self.scenario.undone(self.stage, self.held)

    @property
    def is_broken(self) -> bool:
        return self.scenario.broken(self.stage, self.held)


# -- playing ----------------------------------------------------------------------------------------------------------
def scratch() -> Path:
    """A directory of our own, in memory where that can be."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="pileus-test-", dir=memory if memory.is_dir() else None))


async def furnish(stage: Stage) -> None:
    """What every scenario has: a project, its users, a flavor, an image, a network."""
    admin, ids = await stage.world.admin(), stage.ids
    ids["project"] = await admin.create_project("red")
    stage.admin, stage.user = admin, await admin.create_user("ann", ids["project"])
    ids["flavor"] = await admin.create_flavor("tiny")
    ids["image"] = await admin.create_image("blank", visibility="public")
    ids["network"] = await stage.user.create_network("net")


class Theatre:
    """Keeps, for every scenario, the state in which its request is put."""

    def __init__(self, root: Path, **settings: Any):
        self._root = root
        self._settings = {"hypervisor_options": SMALL} | settings
        self._prepared: dict[str, dict[str, str]] = {}
        self._plays = 0

    def close(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def prepared(self, scenario: Scenario) -> dict[str, str]:
        """The ids of what `prepare` made; its state is in the directory of the scenario's name."""
        if "" not in self._prepared:
            self._prepared[""] = simulate(SEED - 2, lambda chance: self._build(chance, "base", {}, furnish, None))
        if scenario.name not in self._prepared:
            ids = dict(self._prepared[""])
            self._prepared[scenario.name] = simulate(
                SEED - 1, lambda chance: self._build(chance, scenario.name, ids, scenario.prepare, "base")
            )
        return dict(self._prepared[scenario.name])

    async def _build(
        self, chance: random.Random, name: str, ids: dict[str, str], did: Did, source: str | None
    ) -> dict[str, str]:
        directory = self._root / name
        if source is not None:
            shutil.copytree(self._root / source, directory)
        stage = Stage(World(directory, chance, **self._settings), ids)
        stage.world.clock_offset_s = -2000.0 if source is None else -1000.0
        await stage.world.start()
        if source is not None:
            await stage.enter()
        await did(stage)
        await stage.world.settle()
        await stage.world.stop()
        wrong = violations(holdings(directory))
        assert not wrong, wrong
        return stage.ids

    def play(self, scenario: Scenario, trouble: Trouble, then: Did | None = None, seed: int = SEED) -> Outcome:
        """Perform once. `then` is asked for in calm, after all came to rest, and comes to rest again."""
        ids = self.prepared(scenario)
        self._plays += 1
        directory = self._root / f"play-{self._plays}"
        shutil.copytree(self._root / scenario.name, directory)
        try:
            return simulate(seed, lambda chance: self._perform(chance, directory, ids, scenario, trouble, then))
        finally:
            shutil.rmtree(directory)

    async def _perform(
        self, chance: random.Random, directory: Path, ids: dict[str, str], scenario: Scenario, trouble: Trouble,
        then: Did | None,
    ) -> Outcome:  # fmt: skip
        stage = Stage(World(directory, chance, **self._settings), ids)
        await stage.world.start()
        await stage.enter()
        trouble.stage = stage
        stage.world.at_seam = trouble
        with contextlib.suppress(Lost):
            await scenario.ask(stage)
        await rest(stage, trouble)
        if then is not None:
            await then(stage)
            await rest(stage, trouble)
        outcome = Outcome(scenario, stage, stage.held(), trouble.seams, await stage.world.audit())
        await stage.world.stop()
        return outcome


async def rest(stage: Stage, trouble: Trouble) -> None:
    """Let the cloud come to rest; when it dies, it is started again."""
    while True:
        with contextlib.suppress(Lost):
            if not stage.world.runtime.alive:
                stage.world.boot_id = trouble.boot_id or stage.world.boot_id
                await stage.world.restart()
            await asyncio.gather(*trouble.besides)
            await stage.world.finish_flows()
            stage.world.at_seam = None
            await stage.world.settle()
            return


@contextlib.contextmanager
def theatre(**settings: Any) -> Iterator[Theatre]:
    made = Theatre(scratch(), **settings)
    try:
        yield made
    finally:
        made.close()


async def moments(count: int) -> None:
    """Let others go on a little."""
    for _ in range(count):
        await asyncio.sleep(0)
