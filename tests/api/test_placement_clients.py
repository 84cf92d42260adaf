"""The users' own tools judge placement: openstacksdk, and the `openstack` command where its plugin is installed."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openstack
import pytest
from openstack import exceptions
from openstack.connection import Connection

from pileus.foundation.http.server import bind_tcp, listen
from tests.api.placement_cloud import PlacementCloud, tell, uuid

pytestmark = pytest.mark.clients

HOST, SERVER, AGGREGATE = uuid(1), uuid(100), uuid(900)
OSC = Path(sys.executable).with_name("openstack")


@pytest.fixture
def served(run: Any, database: Any, runtime: Any) -> Callable[[Callable[[str], None]], None]:
    """Runs a blocking client in a thread, against placement on a socket."""

    def serve(client: Callable[[str], None]) -> None:
        async def story(cloud: PlacementCloud) -> None:
            listening = bind_tcp("127.0.0.1", 0)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            listener = await listen(cloud.app, listening, runtime)
            try:
                await asyncio.to_thread(client, address)
            finally:
                await listener.stop()

        tell(run, database, runtime)(story)

    return serve


def connect(address: str) -> Connection:
    return openstack.connect(auth_type="admin_token", auth={"endpoint": address, "token": "service"})


def test_the_sdk_manages_providers(served: Callable[..., None]) -> None:
    def client(address: str) -> None:
        placement = connect(address).placement
        host = placement.create_resource_provider(name="host", id=HOST)
        assert (host.id, host.generation) == (HOST, 0)
        vcpu = placement.create_resource_provider_inventory(HOST, "VCPU", total=8, allocation_ratio=4.0)
        assert (vcpu.total, vcpu.allocation_ratio) == (8, 4.0)
        placement.update_resource_provider_inventory("VCPU", HOST, resource_provider_generation=1, total=16)
        assert [each.total for each in placement.resource_provider_inventories(HOST)] == [16]
        placement.create_trait("CUSTOM_FAST")
        assert "CUSTOM_FAST" in {trait.name for trait in placement.traits()}
        placement.create_resource_class(name="CUSTOM_GOLD")
        assert placement.get_resource_class("CUSTOM_GOLD").name == "CUSTOM_GOLD"
        placement.delete_resource_class("CUSTOM_GOLD")
        with pytest.raises(exceptions.NotFoundException):
            placement.get_resource_class("CUSTOM_GOLD")
        found = placement.find_resource_provider("host")
        placement.set_resource_provider_aggregates(found, AGGREGATE)
        assert placement.fetch_resource_provider_aggregates(found).aggregates == [AGGREGATE]
        renamed = placement.update_resource_provider(HOST, name="other")
        assert renamed.name == "other"
        assert [each.name for each in placement.resource_providers()] == ["other"]
        placement.delete_resource_provider_inventory("VCPU", HOST)
        placement.delete_resource_provider(HOST)
        assert list(placement.resource_providers()) == []

    served(client)


def openstack_command(address: str, *words: str) -> Any:
    """What the command prints, decoded."""
    line = [str(OSC), "--os-auth-type", "admin_token", "--os-endpoint", address, "--os-token", "service"]
    wants_json = "delete" not in words
    done = subprocess.run(
        [*line, "--os-placement-api-version", "1.39", *words, *(["-f", "json"] if wants_json else [])],
        capture_output=True,
        timeout=120,
        env={key: each for key, each in os.environ.items() if not key.startswith("OS_")},
    )
    assert done.returncode == 0, (words, done.stderr.decode())
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.skipif(
    importlib.util.find_spec("osc_placement") is None or not OSC.exists(), reason="needs osc-placement (pip install)"
)
def test_the_command_manages_providers_and_allocations(served: Callable[..., None]) -> None:
    def client(address: str) -> None:
        def ask(*words: str) -> Any:
            return openstack_command(address, *words)

        made = ask("resource", "provider", "create", "host", "--uuid", HOST)
        assert (made["uuid"], made["generation"]) == (HOST, 0)
        inventory = ask("resource", "provider", "inventory", "set", HOST, "--resource", "VCPU=8",
                        "--resource", "MEMORY_MB=1024", "--resource", "MEMORY_MB:step_size=64")  # fmt: skip
        assert {each["resource_class"]: each["total"] for each in inventory} == {"VCPU": 8, "MEMORY_MB": 1024}
        ask("resource", "provider", "trait", "set", HOST, "--trait", "COMPUTE_NODE")
        ask("resource", "provider", "aggregate", "set", HOST, "--aggregate", AGGREGATE, "--generation", "2")
        found = ask("allocation", "candidate", "list", "--resource", "VCPU=2", "--required", "COMPUTE_NODE",
                    "--member-of", AGGREGATE)  # fmt: skip
        assert [(each["resource provider"], each["traits"]) for each in found] == [(HOST, "COMPUTE_NODE")]
        ask("resource", "provider", "allocation", "set", SERVER, "--allocation", f"rp={HOST},VCPU=2",
            "--project-id", "p1", "--user-id", "u1", "--consumer-type", "INSTANCE")  # fmt: skip
        held = ask("resource", "provider", "allocation", "show", SERVER)
        assert [each["resources"] for each in held] == [{"VCPU": 2}]
        usage = {each["resource_class"]: each["usage"] for each in ask("resource", "provider", "usage", "show", HOST)}
        assert usage == {"VCPU": 2, "MEMORY_MB": 0}
        ask("resource", "provider", "allocation", "delete", SERVER)
        ask("resource", "provider", "delete", HOST)
        assert ask("resource", "provider", "list") == []

    served(client)
