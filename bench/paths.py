"""What the main paths cost: CPU for each operation, a whole cloud in this process, without a socket.

    .venv/bin/python bench/paths.py [--servers 200] [--profile NAME]

Prints milliseconds of CPU over all services beside the design's limits, which are for the same over HTTP. The best of
several series counts. `--profile` prints where one of the paths spends its time.
"""

import argparse
import asyncio
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pileus.compute.domain.candidate import Candidate, Wanted
from pileus.compute.domain.scheduling import rank_hosts
from tests.cloud import User, World

SERIES = 5
AT_ONCE = 16
PAUSE_S = 0.002

Work = Callable[[], Awaitable[Any]]


class Paths:
    """A cloud with some servers, and the operations to be measured on it; each does its thing `count` times."""

    def __init__(self, world: World, servers: int):
        self.world = world
        self.servers = servers
        self.ids: list[str] = []

    async def prepare(self) -> None:
        self.admin = await self.world.admin()
        for service, path in (("compute", "os-quota-sets"), ("network", "quotas"), ("volume", "os-quota-sets")):
            kinds = {
                "compute": {"instances": -1, "cores": -1, "ram": -1},
                "network": {"network": -1, "subnet": -1, "port": -1},
                "volume": {"volumes": -1, "gigabytes": -1},
            }[service]
            wrapped = {"quota" if service == "network" else "quota_set": kinds}
            await self.admin.need(service, "PUT", f"/{path}/{self.admin.project_id}", wrapped)
        self.flavor = await self.admin.create_flavor("small")
        self.image = await self.admin.create_image("disk")
        self.network = await self.admin.create_network("net", "10.0.0.0/16")
        self.ids = await self.launched(self.servers)

    async def _many(self, count: int, one: Callable[[int], Awaitable[Any]]) -> list[Any]:
        """`count` of them, some at once."""
        found: list[Any] = [None] * count
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                found[number] = await one(number)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        return found

    async def _until(self, path: str, service: str, done: Callable[[Any], bool]) -> None:
        while True:
            answer = await self.admin.request(service, "GET", path)
            if done(None if answer.status == 404 else answer.json()):
                return
            await asyncio.sleep(PAUSE_S)

    async def launched(self, count: int) -> list[str]:
        body = {"flavor": self.flavor, "image": self.image, "networks": [{"uuid": self.network}]}

        async def launch(number: int) -> str:
            server = await self.admin.launch(f"s{number}", **body)
            await asyncio.sleep(0.05)  # asking all the time would be what is measured
            await self._until(f"/servers/{server}", "compute", lambda found: found["server"]["status"] != "BUILD")
            return server

        return await self._many(count, launch)

    async def launch(self, count: int) -> None:
        self.fresh = await self.launched(count)

    async def delete(self, count: int) -> None:
        fresh = self.fresh[:count]

        async def one(number: int) -> None:
            await self.admin.delete("compute", f"/servers/{fresh[number]}")
            await asyncio.sleep(0.05)
            await self._until(f"/servers/{fresh[number]}", "compute", lambda found: found is None)

        await self._many(count, one)

    async def show(self, count: int) -> None:
        for number in range(count):
            await self.admin.request("compute", "GET", f"/servers/{self.ids[number % len(self.ids)]}")

    async def list_first(self, count: int) -> None:
        headers = {"openstack-api-version": "compute 2.1"}
        for _ in range(count):
            answer = await self.admin.request("compute", "GET", "/servers/detail?limit=100", headers=headers)
            assert len(answer.json()["servers"]) == 100 if _ == 0 else True

    async def list_latest(self, count: int) -> None:
        for _ in range(count):
            await self.admin.request("compute", "GET", "/servers/detail?limit=100")

    async def nets(self, count: int) -> None:
        async def one(number: int) -> None:
            network = await self.admin.create_network(f"n{number}")
            port = await self.admin.create_port(network)
            await self.admin.delete("network", f"/ports/{port}")
            await self.admin.delete("network", f"/networks/{network}")

        await self._many(count, one)

    async def volumes(self, count: int) -> None:
        async def one(number: int) -> None:
            volume = await self.admin.create_volume(f"v{number}")
            await self._until(f"/volumes/{volume}", "volume", lambda found: found["volume"]["status"] == "available")
            await self.admin.delete("volume", f"/volumes/{volume}")
            await self._until(f"/volumes/{volume}", "volume", lambda found: found is None)

        await self._many(count, one)

    async def tokens(self, count: int) -> None:
        user = User(self.world, "admin", self.world.cloud.secrets.admin_password, "admin")
        for _ in range(count):
            await user.login()

    async def ranking(self, count: int) -> None:
        for number in range(count):
            assert rank_hosts(_HOSTS, _WANTED, seed=number).hosts


_HOSTS = [
    Candidate(
        host=f"host-{number}", node=f"host-{number}", provider_id=f"provider-{number}", zone="nova",
        free_ram_mib=(number * 37) % 65_536, free_vcpus=(number * 7) % 64, free_disk_gib=1000, is_enabled=True,
        is_alive=True, architectures=frozenset({"x86_64"}), hypervisor_types=frozenset({"fake"}),
    )
    for number in range(10_000)
]  # fmt: skip
_WANTED = Wanted(ram_mib=512, vcpus=1, disk_gib=1)

CASES = (  # name, limit in milliseconds, how often in a series
    ("show", 0.12, 500),
    ("list_first", 0.35, 100),
    ("list_latest", 0.35, 100),
    ("launch", 5.0, 64),
    ("delete", 3.33, 64),
    ("nets", 3.33, 64),
    ("volumes", 3.33, 64),
    ("tokens", None, 100),
    ("ranking", 5.0, 20),
)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--profile", choices=[name for name, *_ in CASES])
    parser.add_argument("--lines", type=int, default=45)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "cloud", hosts=4)
        await world.start()
        paths = Paths(world, options.servers)
        await paths.prepare()
        world.runtime.settle()  # as the cloud's own process does
        if options.profile:
            await profile(paths, options.profile, options.lines)
        else:
            await table(paths)
        await world.stop()


async def profile(paths: Paths, name: str, lines: int) -> None:
    if name == "delete":
        await paths.launch(64)
    count = next(count for case, _, count in CASES if case == name)
    await getattr(paths, name)(count) if name != "delete" else None
    profiler = cProfile.Profile()
    profiler.enable()
    await getattr(paths, name)(count)
    profiler.disable()
    print(f"{count} times")
    pstats.Stats(profiler).sort_stats("tottime").print_stats(lines)


async def table(paths: Paths) -> None:
    best = dict.fromkeys((name for name, *_ in CASES), float("inf"))
    for _ in range(SERIES):
        for name, _limit, count in CASES:
            began = time.process_time()
            await getattr(paths, name)(count)
            best[name] = min(best[name], (time.process_time() - began) / count * 1000)
    for name, limit, _count in CASES:
        print(f"{name:14} {best[name]:8.3f} ms   limit {limit or '-'}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
