"""The bus or the database is away for longer than a silent host is believed, or a step has tries: nobody dies of it."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.postgres import Server
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import LEASE_S, Cluster
from tests.processes.stage import Stage, staged
from tests.processes.test_cluster import audit, begin, begin_hosts, prepared

# In the proportion in which they stand by default, six times as fast.
HEARTBEAT_S, CALL_TIMEOUT_S, HOST_DOWN_S = 1.7, 5.0, 10.0
OUTAGE_S = 6 * CALL_TIMEOUT_S  # more than a step has tries for
assert OUTAGE_S > HOST_DOWN_S
FASTER = {
    "cloud": {"url": "http://cloud.test", "lease_s": LEASE_S, "heartbeat_s": HEARTBEAT_S},
    "compute": {"host_down_s": HOST_DOWN_S, "call_timeout_s": CALL_TIMEOUT_S},
}


async def parts(there: Cluster) -> None:
    await begin(
        there, ("identity-1", "identity"), ("services-1", "image,network,volume,placement"),
        ("compute-api-1", "compute-api"), ("scheduler-1", "scheduler"), ("conductor-1", "conductor"),
        ("conductor-2", "conductor"), ("operations-1", "operations"),
    )  # fmt: skip
    await begin_hosts(there, "h1")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, rabbit: PrivateRabbit, postgres: Server) -> Iterator[Stage]:
    path, database = tmp_path_factory.mktemp("cluster"), postgres.url(postgres.create())

    def make() -> Cluster:
        return Cluster(
            path, database=database, bus=rabbit.url(), host_bus=lambda host: rabbit.url(f"host.{host}"), more=FASTER
        )

    with staged(make, parts, ("h1",)) as found:
        yield found


@pytest.mark.parametrize("away", ["bus", "database"])
def test_hosts_that_could_not_be_heard_are_not_dead(
    stage: Stage, rabbit: PrivateRabbit, postgres: Server, away: str
) -> None:
    leave, come = {"bus": (rabbit.kill, rabbit.start), "database": (postgres.stop, postgres.start)}[away]

    async def story(there: Cluster) -> None:
        admin, user, options = await prepared(there)

        async def launch(when: str, delay: str = "") -> str:
            slow = {"pileus:delay": f"{delay}:{OUTAGE_S}"} if delay else {}
            return await user.launch(f"{when} the {away} was away", metadata=slow, **options)

        servers = [await launch("before", "reboot")]
        await user.at_rest(servers[0], 60)
        await user.post("compute", f"/servers/{servers[0]}/action", {"reboot": {"type": "HARD"}})
        servers += [await launch("while", "spawn") for _ in range(3)]
        await asyncio.sleep(1.5)  # the host is at work on all of it
        await asyncio.to_thread(leave)
        if away == "bus":
            servers += [await launch("though") for _ in range(3)]
        await asyncio.sleep(OUTAGE_S)
        await asyncio.to_thread(come)
        servers += [await launch("after") for _ in range(3)]
        for server in servers:
            found = await user.at_rest(server, 90)
            assert found is not None and found["status"] == "ACTIVE", found
            (attempt,) = (await admin.get("pileus", f"/traces/{server}"))["attempts"]  # and at the first
            assert attempt["outcome"] == "active"
        assert await audit(admin) == []

    stage.run(story)
