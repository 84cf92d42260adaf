"""A cloud whose only hypervisor host is another process: nothing may rely on one address space.

The bus goes through a socket file, the services are asked over HTTP; the host's process has no database.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.bus.socket import Hub
from pileus.foundation.http.server import bind_tcp, listen
from tests.cloud import User, World
from tests.conftest import Run
from tests.processes.compute_host import Orders

HOST = "away"
BUILDS = 8


class HostProcess:
    """The process of the host, which may be killed and started again on the same state."""

    def __init__(self, world: World, directory: Path, url: str):
        self._orders = directory / "orders.json"
        self._log = directory / "host.log"
        directory.mkdir()
        orders = Orders(
            host=HOST, directory=str(directory), bus=str(directory.parent / "bus.sock"), url=url,
            account_key=world.cloud.secrets.accounts["compute"], lease_s=world.settings.cloud.lease_s,
            heartbeat_s=world.settings.cloud.heartbeat_s,
        )  # fmt: skip
        with os.fdopen(os.open(self._orders, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as target:
            target.write(msgspec.json.encode(orders))

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.processes.compute_host", str(self._orders), stdout=log, stderr=log,
                cwd=Path(__file__).resolve().parents[2],
            )  # fmt: skip

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def end(self) -> int:
        """How an orderly end went."""
        if self._process.returncode is None:
            self._process.terminate()
        return await self._process.wait()

    def log(self) -> str:
        return self._log.read_text()


@asynccontextmanager
async def cloud_with_a_host_away(path: Path) -> AsyncIterator[tuple[World, HostProcess]]:
    world = World(path / "cloud", hosts=0, lease_s=1.0, heartbeat_s=0.5)
    await world.start()
    listening = bind_tcp("127.0.0.1", 0)
    listener = await listen(world.cloud.front, listening, world.runtime)
    hub = Hub(world.cloud.broker)
    await hub.listen(path / "bus.sock")
    host = HostProcess(world, path / "host", f"http://127.0.0.1:{listening.getsockname()[1]}")
    await host.start()
    try:
        yield world, host
    except BaseException:
        print(host.log())
        raise
    finally:
        await host.end()
        hub.stop()
        await listener.stop()
        await world.stop()


async def prepared(world: World) -> tuple[User, dict[str, Any]]:
    """A user, and what each of their launches is asked with, once the host is there."""
    admin = await world.admin()

    async def is_there() -> tuple[bool, Any]:
        found = (await admin.get("compute", "/os-services"))["services"]
        return any(one["host"] == HOST and one["state"] == "up" for one in found), found

    await within(admin.until(is_there, "the host is up", 60))
    user = await admin.create_user("somebody", await admin.create_project("theirs"))
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    network = await user.create_network("net")
    return user, {"flavor": flavor, "image": image, "networks": [{"uuid": network}]}


async def within(work: Awaitable[Any]) -> Any:
    async with asyncio.timeout(150):
        return await work


async def audit(world: World) -> list[Any]:
    """What the audit finds, once nothing is in flight any more."""
    admin = await world.admin()

    async def is_clean() -> tuple[bool, Any]:
        found = (await admin.get("pileus", "/audit"))["findings"]
        return not found, found

    return list(await within(admin.until(is_clean, "the audit is clean", 60)))


Story = Callable[[World, HostProcess], Awaitable[None]]


def play(run: Run, path: Path, story: Story) -> None:
    async def whole() -> None:
        async with cloud_with_a_host_away(path) as (world, host):
            await story(world, host)

    run(whole)


def test_a_launch_with_a_volume_runs_through_both_processes(tmp_path: Path, run: Run) -> None:
    async def story(world: World, host: HostProcess) -> None:
        user, options = await prepared(world)
        volume = await user.create_volume("data")
        await within(user.volume_at_rest(volume))
        devices = [
            {"uuid": options["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
        server = await user.launch("far", block_device_mapping_v2=devices, **options)
        found = await within(user.at_rest(server))
        assert found["status"] == "ACTIVE", found.get("fault")
        assert (await user.volume(volume))["status"] == "in-use"

        trace = await (await world.admin()).get("pileus", f"/traces/{server}")
        (attempt,) = trace["attempts"]
        assert attempt["missing"] == []
        assert (attempt["host"], attempt["outcome"]) == (HOST, "active")
        ours, theirs = world.runtime.name, f"process of {HOST}"
        where = {step["step"]: step["process"] for step in attempt["steps"] if not step["sub"]}
        assert set(where) == set(range(1, 29))
        assert {number for number, process in where.items() if process == theirs} >= {14, 19, 22, 25, 28}
        assert {number for number, process in where.items() if process == ours} >= {
            *range(1, 11),
            15,
            16,
            17,
            20,
            23,
            26,
        }

        await user.delete("compute", f"/servers/{server}")
        assert await within(user.at_rest(server)) is None
        assert (await within(user.volume_at_rest(volume)))["status"] == "available"
        assert await audit(world) == []
        assert await host.end() == 0

    play(run, tmp_path, story)


def test_a_host_killed_while_it_builds_finishes_after_its_restart(tmp_path: Path, run: Run) -> None:
    async def story(world: World, host: HostProcess) -> None:
        user, options = await prepared(world)
        servers = [
            await user.launch(f"s{number}", metadata={"pileus:delay": f"spawn:{0.1 * number:.1f}"}, **options)
            for number in range(BUILDS)
        ]

        async def first_is_up() -> tuple[bool, Any]:
            found = await user.server(servers[0])
            return found["status"] == "ACTIVE", found

        await within(user.until(first_is_up, "the first server is up"))
        states = [(await user.server(server))["status"] for server in servers]
        assert "BUILD" in states  # it dies in the midst of them
        await host.kill()
        await host.start()
        found = [await within(user.at_rest(server)) for server in servers]
        assert [one["status"] for one in found] == ["ACTIVE"] * BUILDS, [one.get("fault") for one in found]
        assert await audit(world) == []

        await asyncio.gather(*(user.delete("compute", f"/servers/{server}") for server in servers[: BUILDS // 2]))
        await host.kill()
        await host.start()
        await asyncio.gather(*(user.delete("compute", f"/servers/{server}") for server in servers[BUILDS // 2 :]))
        assert [await within(user.at_rest(server)) for server in servers] == [None] * BUILDS
        assert await audit(world) == []

    play(run, tmp_path, story)
