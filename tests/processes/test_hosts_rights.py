"""What the account of a hypervisor host can do: its own work, and nothing that concerns another host.

Refusals name nothing that the host did not know, and are in the log of who refused.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from pileus.foundation.bus import Bus
from pileus.foundation.bus.rabbitmq import BrokerRefuses, RabbitTransport
from pileus.foundation.errors import Forbidden
from pileus.foundation.http.client import Answer
from pileus.secrets_file import read
from tests.cloud import User
from tests.conftest import Run
from tests.postgres import Server
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import Cluster, cluster
from tests.processes.conftest import MakeCluster
from tests.processes.stage import Stage, staged
from tests.processes.test_cluster import begin, begin_hosts, prepared


async def parts(there: Cluster) -> None:
    await begin(
        there, ("identity-1", "identity"), ("services-1", "image,network,volume,placement"),
        ("compute-1", "compute-api,scheduler,conductor"), ("operations-1", "operations"),
    )  # fmt: skip
    await begin_hosts(there, "h1", "h2")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, rabbit: PrivateRabbit, postgres: Server) -> Iterator[Stage]:
    path, database = tmp_path_factory.mktemp("cluster"), postgres.url(postgres.create())

    def make() -> Cluster:
        return Cluster(path, database=database, bus=rabbit.url(), host_bus=lambda host: rabbit.url(f"host.{host}"))

    with staged(make, parts, ("h1", "h2")) as found:
        yield found


def key_of(there: Cluster, host: str) -> str:
    return read(there.path / f"{host}.secrets").key_of(f"host.{host}")


async def as_host(there: Cluster, host: str) -> User:
    return await there.login(f"host.{host}", key_of(there, host), "service")


async def a_server_on_each(there: Cluster) -> tuple[User, dict[str, str]]:
    """A server on h1 and one on h2, with a port and a volume each."""
    admin, user, options = await prepared(there)
    servers = {}
    for host in ("h1", "h2"):
        volume = await user.create_volume(f"of {host}")
        await user.volume_at_rest(volume, 60)
        devices = [
            {"uuid": options["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
        asked = {"name": host, "flavorRef": options["flavor"], "imageRef": options["image"],
                 "networks": options["networks"], "availability_zone": f"nova:{host}",
                 "block_device_mapping_v2": devices}  # fmt: skip
        role = await admin.get("identity", "/roles", query={"name": "admin"})
        path = f"/projects/{user.project_id}/users/{user.user_id}/roles/{role['roles'][0]['id']}"
        await admin.need("identity", "PUT", path)  # whoever names a host must be an administrator
        await user.login()
        made = await user.post("compute", "/servers", {"server": asked})
        servers[host] = made["server"]["id"]
        found = await user.at_rest(servers[host], 60)
        assert found is not None and found["status"] == "ACTIVE", found
        assert found["OS-EXT-SRV-ATTR:host"] == host
    return admin, servers


def refused(answer: Answer, *secrets: str) -> None:
    assert answer.status == 403, answer.body
    assert not [secret for secret in secrets if secret in answer.body.decode()]


def test_a_host_touches_what_belongs_to_its_own_servers_and_nothing_else(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        admin, servers = await a_server_on_each(there)
        host = await as_host(there, "h1")
        mine, other = servers["h1"], servers["h2"]

        ports = (await host.get("network", "/ports", query={"device_id": mine}))["ports"]
        assert [port["binding:host_id"] for port in ports] == ["h1"]
        refused(await host.request("network", "GET", "/ports", query={"device_id": other}))
        assert {port["binding:host_id"] for port in (await host.get("network", "/ports"))["ports"]} == {"h1"}
        (foreign,) = (await admin.get("network", "/ports", query={"device_id": other}))["ports"]
        mac = foreign["mac_address"]
        refused(await host.request("network", "GET", f"/ports/{foreign['id']}"), mac)
        refused(await host.request("network", "DELETE", f"/ports/{foreign['id']}"), mac)
        take = {"port": {"binding:host_id": "h1", "device_id": mine}}
        refused(await host.request("network", "PUT", f"/ports/{foreign['id']}", take), mac)
        give = {"port": {"binding:host_id": "h2"}}
        refused(await host.request("network", "PUT", f"/ports/{ports[0]['id']}", give))
        new = {"port": {"network_id": foreign["network_id"], "device_id": other, "binding:host_id": "h1"}}
        refused(await host.request("network", "POST", "/ports", new))

        query = {"instance_id": mine, "all_tenants": "1"}
        held = (await host.get("volume", "/attachments/detail", query=query))["attachments"]
        assert len(held) == 1
        refused(await host.request("volume", "GET", "/attachments/detail", query={"instance_id": other}))
        refused(await host.request("volume", "GET", "/attachments/detail"))
        query = {"instance_id": other, "all_tenants": "1"}
        (theirs,) = (await admin.get("volume", "/attachments/detail", query=query))["attachments"]
        connector = {"attachment": {"connector": {"host": "h1"}}}
        refused(await host.request("volume", "PUT", f"/attachments/{theirs['id']}", connector), theirs["volume_id"])
        refused(await host.request("volume", "DELETE", f"/attachments/{theirs['id']}"))
        refused(await host.request("volume", "GET", f"/volumes/{theirs['volume_id']}"))
        refused(await host.request("volume", "DELETE", f"/volumes/{held[0]['volume_id']}"))  # its user's, not made here

    stage.run(story)


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("identity", "GET", "/users"), ("identity", "GET", "/projects"), ("identity", "GET", "/auth/projects"),
        ("compute", "GET", "/servers/detail"), ("compute", "GET", "/os-services"), ("image", "GET", "/images"),
        ("network", "GET", "/security-groups"), ("network", "GET", "/floatingips"), ("network", "GET", "/routers"),
        ("volume", "GET", "/volumes/detail"), ("volume", "GET", "/snapshots"), ("volume", "GET", "/types"),
        ("placement", "GET", "/resource_providers"), ("pileus", "GET", "/flows"), ("pileus", "GET", "/status"),
    ],
)  # fmt: skip
def test_a_host_may_not_ask_for_what_its_work_does_not_need(stage: Stage, service: str, method: str, path: str) -> None:
    async def story(there: Cluster) -> None:
        refused(await (await as_host(there, "h1")).request(service, method, path))

    stage.run(story)


def test_images_are_a_hosts_only_in_the_name_of_a_user(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        _, user, options = await prepared(there)
        host = await as_host(there, "h1")
        refused(await host.request("image", "GET", f"/images/{options['image']}/file"))
        beside = {"x-service-token": host.token}
        assert (await user.request("image", "GET", f"/images/{options['image']}/file", headers=beside)).status == 200
        private = await user.create_image("own")
        refused(await host.request("image", "GET", f"/images/{private}"))
        refused(await user.request("compute", "GET", "/servers", headers=beside))  # narrowed, though the user may

    stage.run(story)


def test_a_wrong_key_and_a_key_of_before_are_refused_and_neither_is_in_any_log(stage: Stage) -> None:
    async def story(there: Cluster) -> None:
        old = key_of(there, "h2")
        for wrong in (old[:-1] + ("A" if old[-1] != "A" else "B"), key_of(there, "h1"), ""):
            with pytest.raises(AssertionError, match="401"):
                await there.login("host.h2", wrong, "service")
        host = await as_host(there, "h2")
        ask = {"device_id": "00000000-0000-0000-0000-000000000000"}
        assert (await host.request("network", "GET", "/ports", query=ask)).status == 403
        again = there.path / "h2.again"
        await there.command("enroll", "h2", "--config", str(there.config), "--out", str(again))
        host.password = ""

        async def is_out() -> tuple[bool, Any]:
            seen = (await host.request("network", "GET", "/ports", query=ask)).status
            return seen == 401, seen

        await host.until(is_out, "its tokens have ended with its key", 10)
        with pytest.raises(AssertionError, match="401"):
            await there.login("host.h2", old, "service")
        logs = "".join(member.log.read_text() for member in there.members.values())
        assert old not in logs and read(again).key_of("host.h2") not in logs and host.token not in logs
        assert "refused GET /v2.0/ports to the account of host h2" in logs

    stage.run(story)


def test_on_the_bus_a_host_speaks_only_for_itself(stage: Stage, rabbit: PrivateRabbit) -> None:
    async def story(there: Cluster) -> None:
        with pytest.raises(BrokerRefuses):
            await RabbitTransport(rabbit.url("host.h1", "wrong"), there.runtime).connect(5.0)
        line = RabbitTransport(rabbit.url("host.h1"), there.runtime)
        await line.connect()
        bus = Bus(line, there.runtime)
        try:
            assert await bus.call("conductor", "host.beat", {"host": "h1"}) == 0
            for method, args in _CLAIMS:
                with pytest.raises(Forbidden):
                    await bus.call("conductor", method, args)
            with pytest.raises(Forbidden):
                await bus.call("network", "desired", {"host": "h2"})
            with pytest.raises(Forbidden):
                await bus.call("operations", "alive", {"host": "h2", "process": {}, "beats": 1})
        finally:
            bus.close()
            await line.close()
        assert "refused conductor.host.beat from account host.h1" in there.members["compute-1"].log.read_text()

    stage.run(story)


_CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("host.beat", {"host": "h2"}),
    ("server.data", {"host": "h2", "server_id": "x", "epoch": 1, "launch_id": "y"}),
    ("host.epochs", {"host": "h2", "ids": []}),
    ("journal.open", {"home": "host:h2"}),
    ("journal.open", {"home": ""}),
    ("hosts", {}),
    ("flows.list", {}),
    ("flows.left", {"flow_ids": []}),
    ("audit", {}),
    ("trace", {"server_id": "x", "show_hosts": True, "project_id": None}),
]


def test_a_hosts_token_that_has_ended_opens_nothing(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        async with cluster(small()) as there:
            await there.add("hub", "hub")
            await there.add("identity-1", "identity", PILEUS_IDENTITY__TOKEN_LIFETIME_S="3")
            await there.add("network-1", "network")
            host = await as_host(there, "h1")
            host.password = ""
            assert (await host.request("network", "GET", "/networks")).status == 200

            async def is_out() -> tuple[bool, Any]:
                answer = await host.request("network", "GET", "/networks")
                return answer.status == 401 and b"networks" not in answer.body, answer.body

            await host.until(is_out, "the token has ended", 30)

    run(whole)
