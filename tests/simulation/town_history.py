"""A history of a cloud of many processes: each dies and comes again by itself, hosts stay away, lines break, requests
and messages are lost."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from pileus.foundation.http.authentication import MAX_AGE_S
from tests.cloud import Life, Lost, Refused, World
from tests.simulation.history import History
from tests.simulation.misfortune import Misfortune, Weather
from tests.simulation.town import Member, Town
from tests.simulation.world import Base, settings

SEAMS = 3000
"""About as many does a town pass while tenants are at work."""
ROLL = "operations"
"""The topic where every process says again and again that it lives."""


class TownMisfortune(Misfortune):
    """Whoever passes the fatal seam dies there."""

    def __init__(self, chance: random.Random, weather: Weather, tell: Callable[[str], None]):
        super().__init__(chance, weather)
        self._tell = tell
        self._deaths = sorted(chance.randrange(1, SEAMS) for _ in range(2 * weather.deaths))

    def at_seam(self, life: Life, point: str, *facts: str) -> None:
        if facts[:1] == (ROLL,):
            return
        is_fatal = bool(self._deaths) and self.seams + 1 >= self._deaths[0]
        super().at_seam(life, point, *facts)
        if is_fatal and not life.alive:
            self._tell(f"{life.name} dies at {point} {' '.join(facts)}")


class TownHistory(History):
    """The same tenants and the same account; other misfortunes."""

    world: Town

    def __init__(self, seed: int, base: Base, chance: random.Random, *, loses_power: bool = False):
        super().__init__(seed, base, chance, loses_power=loses_power)
        self.misfortune = TownMisfortune(random.Random(chance.random()), self.weather, self.log)
        self.world.fate = self.misfortune.fate
        self.away: dict[str, float] = {}  # how long a member stays away when it dies next

    def _build(self, base: Base, name: str, chance: random.Random) -> World:
        return Town(base.copy(name), chance, base.root, **settings())

    async def _invite(self) -> None:
        await super()._invite()
        for tenant in self.tenants:
            tenant.grace_s = MAX_AGE_S + 1.0
        self.world.lost = self.weather.lost / 2

    async def _awake(self) -> None:
        while not self.world.is_answering:
            await asyncio.sleep(0.2)

    async def _keep_alive(self) -> None:
        """Every process that has died comes again."""
        await asyncio.gather(*(self._keep(member) for member in self.world.members.values()))

    async def _keep(self, member: Member) -> None:
        while True:
            assert member.life is not None
            await member.life.died.wait()
            member.bury()
            self.log(f"{member.name} is dead")
            await asyncio.sleep(self.away.pop(member.name, self.chance.random() * 15))
            if self.weather.reboots:
                member.boots += 1
            await self.world.start_again(member)
            self.log(f"{member.name} lives again")

    # -- storms ---------------------------------------------------------------------------------------------------
    def _storms(self) -> list[Coroutine[Any, Any, None]]:
        return [self._cut_off(), self._come_and_go(), self._wipe(), self._set_clocks(), self._expel()]

    async def _cut_off(self) -> None:
        """The line of a process breaks, for a moment or for longer than any lease."""
        for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
            await asyncio.sleep(self.chance.random() * 5)
            member = self.chance.choice(list(self.world.members.values()))
            self.log(f"{member.name} is cut off")
            member.cut()
            await asyncio.sleep(self.chance.choice((0.1, 3.0, 10.0, 50.0, 200.0)))
            member.mend()
            self.log(f"{member.name} is back")

    async def _come_and_go(self) -> None:
        """A host is taken away at any moment, for a while."""
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            await asyncio.sleep(self.chance.random() * 6)
            hosts = [member for member in self.world.members.values() if member.name.startswith("host-")]
            member = self.chance.choice(hosts)
            if member.is_up and member.life is not None:
                self.away[member.name] = self.chance.choice((1.0, 30.0, 300.0))
                self.log(f"{member.name} is taken away")
                member.life.crash()

    async def _wipe(self) -> None:
        """The broker loses what waits in it."""
        for _ in range(self.chance.choice((0, 0, 0, 1))):
            await asyncio.sleep(self.chance.random() * 6)
            self.log("queues are wiped")
            self.world.exchange.wipe()

    # -- rest -----------------------------------------------------------------------------------------------------
    async def _enable(self, tenant: Any, *, enabled: bool) -> None:
        while True:
            try:
                return await super()._enable(tenant, enabled=enabled)
            except (Refused, AssertionError) as refused:
                if isinstance(refused, Refused) and refused.answer.status != 503:
                    raise

    async def _rest(self) -> None:
        self.world.lost = 0.0
        await self.world.whole()
        while True:
            await self._awake()
            try:
                await self.world.settle()
            except Lost:
                continue
            except Refused as refused:
                if refused.answer.status < 500:
                    raise
                await asyncio.sleep(1.0)
                continue
            break
        assert not self.world.exchange.parked, self.world.exchange.parked
