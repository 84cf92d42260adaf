"""What a cluster is prepared with: tables, secrets, accounts of hosts, those of the broker too."""

import asyncio
import json
import os
import sys

from pileus.foundation.state_directory import hold
from pileus.secrets_file import read
from pileus.wiring import opening
from pileus.wiring.settings import BusSection, SecretsSection, Settings
from tests.conftest import Run
from tests.processes.cluster import ROOT, cluster
from tests.processes.conftest import MakeCluster


def test_a_host_has_one_key_for_identity_and_for_the_broker(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        async with cluster(small(), hosts=()) as there:
            out, bus = there.path / "h7.json", there.path / "bus.json"
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pileus", "enroll", "h7", "--config", str(there.config), "--out", str(out),
                "--rabbitmq", str(bus), "--backend", "b7", cwd=ROOT,
                env=os.environ | {"PILEUS_BUS__URL": "amqps://pileus:s%20ecret@broker.test/cloud"},
            )  # fmt: skip
            assert await process.wait() == 0
            assert (out.stat().st_mode & 0o777, bus.stat().st_mode & 0o777) == (0o600, 0o600)
            secrets, data = read(out), json.loads(bus.read_text())
            assert list(secrets.accounts) == ["host.h7"]
            assert (secrets.admin_password, secrets.token_keys, secrets.sealing_key) == ("", {}, b"")
            assert [user["name"] for user in data["users"]] == ["pileus", "host.h7"]
            assert data["vhosts"] == [{"name": "cloud"}]
            assert "volume-host.b7" in bus.read_text().replace("\\\\", "").replace("\\", "")
            for secret in ("s ecret", secrets.key_of("host.h7")):
                assert secret not in bus.read_text()
            settings = Settings(
                bus=BusSection(url="amqps://host.h7@broker.test/cloud"), secrets=SecretsSection(file=str(out))
            )
            assert opening.bus_url(settings) == f"amqps://host.h7:{secrets.key_of('host.h7')}@broker.test/cloud"

    run(whole)


def test_a_host_is_one_process(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        async with cluster(small()) as there:
            await there.add("hub", "hub")
            lock = hold(there.state / "hosts" / "h1.lock", "h1")
            env = {"PILEUS_SECRETS__FILE": str(there.path / "h1.secrets"), "PILEUS_HOST__HOST_NAME": "h1"}
            assert "Another process has host h1 already" in await there.complaint("compute-host", **env)
            os.close(lock)

    run(whole)


def test_preparing_again_changes_nothing(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        async with cluster(small(), hosts=()) as there:
            before = (there.state / "secrets.json").read_bytes()
            await there.command("db", "upgrade", "--config", str(there.config))
            assert (there.state / "secrets.json").read_bytes() == before

    run(whole)


def test_a_process_does_not_start_on_tables_that_nobody_made(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        async with cluster(small(), hosts=()) as there:
            env = {"PILEUS_DATABASE__URL": f"sqlite:///{there.path}/empty.db"}
            assert "pileus db upgrade" in await there.complaint("identity", **env)
            (there.state / "secrets.json").chmod(0o640)
            assert "chmod 600" in await there.complaint("identity")
            assert "there is no part compute." in await there.complaint("compute")

    run(whole)
