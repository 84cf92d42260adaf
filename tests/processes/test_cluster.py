"""A cloud of one process for each part, several of what may be several: nothing but the configuration differs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.cloud import User
from tests.conftest import Run
from tests.processes.cluster import Cluster, cluster
from tests.processes.conftest import MakeCluster

Story = Callable[[Cluster], Awaitable[None]]


def play(run: Run, make: MakeCluster, story: Story, hosts: Sequence[str] = ("h1",)) -> None:
    async def whole() -> None:
        async with cluster(make(), hosts) as there:
            await story(there)

    run(whole)


async def begin(there: Cluster, *processes: tuple[str, str]) -> None:
    """Start processes (name, parts) beside each other."""
    await asyncio.gather(*(there.add(name, *parts.split(",")) for name, parts in processes))


async def begin_hosts(there: Cluster, *hosts: str) -> None:
    """The hypervisor hosts, the first of which holds the volumes; the cloud takes launches then."""
    await asyncio.gather(
        there.add("volume-host-1", "volume-host", host=hosts[0]),
        *(there.add(f"compute-host-{number + 1}", "compute-host", host=host) for number, host in enumerate(hosts)),
    )


async def all_parts(there: Cluster) -> None:
    """One process of each part, two of each that holds no state of its own and costs little."""
    if there.has_hub:
        await there.add("hub", "hub")
    names = ("identity", "image", "network", "volume", "placement", "operations")
    await begin(there, *((f"{name}-1", name) for name in names))
    several = ("compute-api", "scheduler", "conductor")
    await begin(there, *((f"{name}-{number}", name) for name in several for number in (1, 2)))
    await begin_hosts(there, "h1")


async def prepared(there: Cluster) -> tuple[User, User, dict[str, Any]]:
    """An administrator, a new user, and what each of the user's launches is asked with."""
    admin = await there.admin()
    name = there.new_name("somebody")
    user = await admin.create_user(name, await admin.create_project(f"of {name}"))
    flavor, image = (
        await admin.create_flavor(f"small for {name}"),
        await admin.create_image("disk", visibility="public"),
    )
    network = await user.create_network("net")
    return admin, user, {"flavor": flavor, "image": image, "networks": [{"uuid": network}]}


async def audit(admin: User) -> list[Any]:
    async def is_clean() -> tuple[bool, Any]:
        found = (await admin.get("pileus", "/audit"))["findings"]
        return not found, found

    return list(await admin.until(is_clean, "the audit is clean", 60))


DOES = {  # step of the launch -> the part whose process does it
    1: "identity", 2: "identity", 3: "compute-api", 4: "compute-api", 5: "compute-api", 6: "compute-api",
    7: "compute-api", 8: "compute-api", 9: "scheduler", 10: "scheduler", 11: "scheduler", 12: "scheduler",
    13: "compute-host", 14: "compute-host", 15: "conductor", 16: "conductor", 17: "conductor", 18: "compute-host",
    19: "compute-host", 20: "image", 21: "compute-host", 22: "compute-host", 23: "network", 24: "compute-host",
    25: "compute-host", 26: "volume", 27: "compute-host", 28: "compute-host",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_launch_with_a_volume_goes_through_every_part_and_each_step_names_its_process(
    kind: str, request: pytest.FixtureRequest, run: Run
) -> None:
    async def story(there: Cluster) -> None:
        await all_parts(there)
        admin, user, options = await prepared(there)
        volume = await user.create_volume("data")
        await user.volume_at_rest(volume, 60)
        devices = [
            {"uuid": options["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
        server = await user.launch("first", block_device_mapping_v2=devices, **options)
        found = await user.at_rest(server, 60)
        assert found is not None and found["status"] == "ACTIVE", found
        trace = await admin.get("pileus", f"/traces/{server}")
        (attempt,) = trace["attempts"]
        assert attempt["missing"] == []
        where = {step["step"]: step["process"].rpartition("-")[0] for step in attempt["steps"] if not step["sub"]}
        assert where == DOES
        assert await audit(admin) == []
        await user.delete("compute", f"/servers/{server}")
        assert await user.at_rest(server, 60) is None
        assert await audit(admin) == []

    play(run, request.getfixturevalue(kind), story)
