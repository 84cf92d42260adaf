"""One history from one seed: some tenants, some time, some misfortune; then rest, and an account of everything."""

import asyncio
import contextlib
import dataclasses
import hashlib
import random
import shutil
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from pileus.foundation.simulation import simulate
from tests.cloud import Lost, User, World
from tests.holdings import holdings, violations
from tests.simulation.ledger import Ledger
from tests.simulation.misfortune import Misfortune, Weather
from tests.simulation.tenant import Tenant
from tests.simulation.world import HOSTS, PROJECTS, Base, settings


@dataclass
class Result:
    """How a history went."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    requests: int = 0
    lives: int = 0
    servers: int = 0
    cuts: int = 0  # of the machine's power

    @property
    def digest(self) -> str:
        """The same for the same history."""
        return hashlib.sha256("\n".join(self.log).encode()).hexdigest()[:16]


class History:
    """A cloud, those who use it, and what befalls it."""

    def __init__(self, seed: int, base: Base, chance: random.Random, *, loses_power: bool = False):
        self.result = Result(seed)
        self.ids = base.ids
        self.chance = chance
        self.weather = Weather.forecast(chance)
        if loses_power:
            self.weather = dataclasses.replace(self.weather, reboots=True, deaths=max(self.weather.deaths, 1))
        self.misfortune = Misfortune(random.Random(chance.random()), self.weather)
        self.world = self._build(base, f"seed-{seed}", random.Random(chance.random()))
        self.world.fate = self.misfortune.fate
        self.ledger = Ledger()
        self.lives_again = asyncio.Event()
        self.tenants: list[Tenant] = []

    def _build(self, base: Base, name: str, chance: random.Random) -> World:
        return World(base.copy(name), chance, **settings())

    def log(self, text: str) -> None:
        self.result.log.append(f"{asyncio.get_running_loop().time():9.3f} {text}")

    async def run(self) -> Result:
        result = self.result
        self.log(str(self.weather))
        await self.world.start()
        self.lives_again.set()
        await self._invite()
        self.world.at_seam = self.misfortune.at_seam
        plot = (self._story(), self._keep_alive(), self._watch())
        story, *_ = tasks = [asyncio.ensure_future(part) for part in plot]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # the others end only when something is wrong
        if story.done() and not _failed(story):
            result.wrong += story.result()
        result.wrong += [repr(task.exception()) for task in tasks if _failed(task)]
        for task in tasks:
            task.cancel()
        result.lives = self.world.lives
        result.requests = sum(" -> " in line for line in result.log)
        with contextlib.suppress(Lost):
            await self.world.stop()
        return result

    async def _story(self) -> list[str]:
        """What the tenants live through; returns what is wrong when all have come to rest."""
        storms = asyncio.gather(*self._storms())
        await asyncio.gather(*(self._life(tenant) for tenant in self.tenants), storms)
        self.misfortune.is_over = True
        await self._rest()
        return await self._account()

    def _storms(self) -> list[Coroutine[Any, Any, None]]:
        return [self._cut_hosts_off(), self._set_clocks(), self._expel()]

    async def _invite(self) -> None:
        for project, names in PROJECTS.items():
            for name in names:
                user = await self.world.login(name, f"password of {name}", project)
                tenant = Tenant(user, self.ids, self.ledger, random.Random(self.chance.random()), self.log)
                self.tenants.append(tenant)
        for tenant in self.tenants:
            tenant.strangers = [other for other in self.tenants if other.project != tenant.project]

    async def _life(self, tenant: Tenant) -> None:
        """A tenant does up to three things at once."""
        hands = self.chance.choice((1, 2, 3))
        await asyncio.gather(*(tenant.live(self.chance.randrange(3, 12), self._awake) for _ in range(hands)))

    async def _awake(self) -> None:
        await self.lives_again.wait()

    # -- what befalls it ------------------------------------------------------------------------------------------
    async def _keep_alive(self) -> None:
        """Whenever the process has died, begin the next life a little later."""
        while True:
            await self.world.runtime.died.wait()  # type: ignore[attr-defined]
            self.lives_again.clear()
            self.log("died")
            await asyncio.sleep(self.chance.random() * 30)
            if self.weather.reboots:
                self.world.boot_id = f"boot {self.world.lives}"
                self.world.lose_power(self.chance)
                self.result.cuts += 1
            await self.world.restart()
            self.log(f"life {self.world.lives}")
            self.lives_again.set()

    async def _cut_hosts_off(self) -> None:
        for _ in range(self.weather.partitions):
            await asyncio.sleep(self.chance.random() * 5)
            host = f"host-{self.chance.randrange(HOSTS) + 1}"
            self.log(f"{host} is cut off")
            self.misfortune.cut_off = host
            await asyncio.sleep(self.chance.choice((10.0, 50.0, 200.0)))
            self.misfortune.cut_off = ""
            self.log(f"{host} is back")

    async def _set_clocks(self) -> None:
        """The wall clock jumps, back too; the monotonic one never does."""
        for _ in range(self.weather.jumps):
            await asyncio.sleep(self.chance.random() * 8)
            self.world.set_clocks(self.world.clock_offset_s + self.chance.choice((-7200.0, -600.0, -5.0, 30.0, 5000.0)))
            self.log(f"the clock is {self.world.clock_offset_s} s off")

    async def _expel(self) -> None:
        """An administrator disables a user, whatever is in flight, and forgives."""
        for _ in range(self.weather.expulsions):
            await asyncio.sleep(self.chance.random() * 8)
            tenant = self.chance.choice(self.tenants)
            await self._enable(tenant, enabled=False)
            await asyncio.sleep(self.chance.choice((0.01, 1.0, 20.0)))
            await self._enable(tenant, enabled=True)

    async def _enable(self, tenant: Tenant, *, enabled: bool) -> None:
        while True:
            await self._awake()
            try:
                admin = await self.world.admin()
                body = {"user": {"enabled": enabled}}
                answer = await admin.request("identity", "PATCH", f"/users/{tenant.user.user_id}", body)
            except Lost:
                continue
            assert answer.status == 200, (answer.status, answer.body)
            self.log(f"{tenant.user.name} is {'enabled' if enabled else 'disabled'}")
            return

    async def _watch(self) -> None:
        """What must hold at every moment; nothing changes without passing a seam."""
        looked = -1
        while True:
            await asyncio.sleep(0.7)
            if looked == self.misfortune.seams:
                continue
            looked = self.misfortune.seams
            full = self.world.rows("SELECT provider, class, used, capacity FROM placement_inventories "
                                   "WHERE used > capacity OR used < 0")  # fmt: skip
            assert not full, [dict(row) for row in full]
            for agent in self.world.agents:
                guests = agent._host.hypervisor._journal.items.values()  # type: ignore[attr-defined]
                ram_mib = sum(guest.ram_mib for guest in guests)
                assert ram_mib <= 2048, f"{ram_mib} MiB of guests on {agent._host.host}"

    # -- the account ----------------------------------------------------------------------------------------------
    async def _rest(self) -> None:
        while True:
            await self._awake()
            try:
                await self.world.finish_flows(6 * 3600.0)
                await self.world.settle()
                return
            except Lost:
                continue

    async def _account(self) -> list[str]:
        world, held = self.world, holdings(self.world.state_dir)
        self.result.servers = len(held.servers) + len(held.deleted)
        wrong = [*violations(held), *self.ledger.settle(held), *(f"audit: {one}" for one in await world.audit())]
        wrong += [f"action {dict(row)} has no end" for row in world.rows(
            "SELECT server_id, request_id, name FROM compute_server_events WHERE ended_at IS NULL"
        )]  # fmt: skip
        for tenant in self.tenants:
            await tenant.try_revoked()
            await tenant.trespass()
            await tenant.look_around()
        return [*wrong, *await self._clean_up()]

    async def _clean_up(self) -> list[str]:
        """Delete works from every state, and leaves nothing."""
        admin: User = await self.world.admin()
        for _ in range(3):  # some were told to fail when they are deleted
            for server_id in list(holdings(self.world.state_dir).servers):
                await admin.act(server_id, "unlock")
                await admin.delete("compute", f"/servers/{server_id}")
            await self.world.settle()
        held = holdings(self.world.state_dir)
        left: list[Any] = [*held.servers.values(), *held.guests, *held.taps, *held.claims.items()]
        left += [port for port in held.ports.values() if port["device_owner"].startswith("compute:")]
        left += [one for volume in held.volumes.values() for one in volume.attachments]
        return [f"left after every delete: {one}" for one in left] + violations(held)


def _failed(task: "asyncio.Task[Any]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None


def run_history(seed: int, base: Base, *, loses_power: bool = False, kind: type[History] = History) -> Result:
    """Live through one history, and remove what is left of it."""

    async def live(chance: random.Random) -> Result:
        return await kind(seed, base, chance, loses_power=loses_power).run()

    try:
        return simulate(seed, live)
    finally:
        shutil.rmtree(base.root / f"seed-{seed}", ignore_errors=True)
