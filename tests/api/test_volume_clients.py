"""The users' own tools judge block storage: openstacksdk over a socket."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openstack
import pytest
from openstack import exceptions
from openstack.connection import Connection

from pileus.foundation.http.server import bind_tcp, listen
from tests.api.volume_cloud import LATEST, volume_cloud
from tests.conftest import Run

pytestmark = pytest.mark.clients


@pytest.fixture
def served(run: Run, tmp_path: Path) -> Callable[[Callable[[Connection], None]], None]:
    """Runs a blocking client in a thread, against the service on a socket."""

    def serve(client: Callable[[Connection], None]) -> None:
        async def play() -> None:
            async with volume_cloud(tmp_path) as cloud:
                listening = bind_tcp("127.0.0.1", 0)
                address = f"http://127.0.0.1:{listening.getsockname()[1]}/v3"
                listener = await listen(cloud.app, listening, cloud.runtime)
                try:
                    await asyncio.to_thread(client, connect(address))
                finally:
                    await listener.stop()

        run(play)

    return serve


def connect(address: str) -> Connection:
    return openstack.connect(
        auth_type="admin_token", auth={"endpoint": address, "token": "admin@red"},
        block_storage_default_microversion=LATEST.split()[1],
    )  # fmt: skip


def test_the_sdk_makes_changes_and_deletes_a_volume(served: Callable[..., None]) -> None:
    def client(connection: Connection) -> None:
        storage = connection.block_storage
        volume = storage.create_volume(size=1, name="data", metadata={"a": "b"})
        volume = storage.wait_for_status(volume, status="available", interval=0.05, wait=10)
        assert (volume.size, volume.volume_type, volume.metadata) == (1, "__DEFAULT__", {"a": "b"})
        storage.extend_volume(volume, 3)
        storage.wait_for_status(storage.get_volume(volume.id), status="available", interval=0.05, wait=10)
        assert storage.get_volume(volume.id).size == 3
        storage.set_volume_bootable_status(volume, True)
        assert storage.update_volume(volume, name="new").name == "new"
        assert [one.id for one in storage.volumes(name="new")] == [volume.id]
        assert storage.find_volume("new").id == volume.id
        storage.delete_volume(volume)
        storage.wait_for_delete(volume, interval=0.05, wait=10)
        with pytest.raises(exceptions.NotFoundException):
            storage.get_volume(volume.id)

    served(client)


def test_the_sdk_reads_what_the_service_tells(served: Callable[..., None]) -> None:
    def client(connection: Connection) -> None:
        storage = connection.block_storage
        assert [kind.name for kind in storage.types()] == ["__DEFAULT__"]
        assert storage.get_limits().absolute.max_total_volumes == 10
        assert [zone.name for zone in storage.availability_zones()] == ["nova"]
        assert "os-quota-sets" in [one.alias for one in storage.extensions()]

    served(client)


def test_the_sdk_manages_types_and_attachments(served: Callable[..., None]) -> None:
    def client(connection: Connection) -> None:
        storage = connection.block_storage
        kind = storage.create_type(name="multi", extra_specs={"multiattach": "<is> True"})
        volume: Any = storage.create_volume(size=1, volume_type="multi")
        volume = storage.wait_for_status(volume, status="available", interval=0.05, wait=10)
        assert volume.is_multiattach
        server = "22222222-2222-4222-8222-222222222222"
        held = storage.create_attachment(volume, connector={"host": "h"}, instance=server)
        storage.complete_attachment(held)
        assert storage.get_volume(volume.id).status == "in-use"
        storage.delete_attachment(held)
        assert storage.get_volume(volume.id).status == "available"
        with pytest.raises(exceptions.BadRequestException):
            storage.delete_type(kind)

    served(client)
