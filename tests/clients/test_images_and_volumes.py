"""Images, volumes and snapshots through openstacksdk."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Person

openstack = pytest.importorskip("openstack")


def test_an_image_comes_back_as_it_went(member: Person, tmp_path: Path) -> None:
    images = member.connection.image
    data = os.urandom(3 << 20)
    source = tmp_path / "data.raw"
    source.write_bytes(data)
    made = images.create_image(
        "mine", filename=str(source), disk_format="raw", container_format="bare", tags=["a"], min_disk=1, why="test",
        visibility="private",
    )  # fmt: skip
    image = images.get_image(made)
    assert (image.status, image.size, image.visibility) == ("active", len(data), "private")
    assert image.hash_value == hashlib.sha512(data).hexdigest()
    assert image.checksum == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert image.properties["why"] == "test"
    images.download_image(image, output=str(tmp_path / "back"), stream=True)
    assert (tmp_path / "back").read_bytes() == data
    images.update_image(image, name="ours", hw_disk_bus="virtio")
    assert [each.name for each in images.images(tag="a")] == ["ours"]
    images.delete_image(image)
    assert images.find_image("ours", ignore_missing=True) is None


def test_a_private_image_is_nobody_elses(member: Person, newcomer: Any, tmp_path: Path) -> None:
    source = tmp_path / "data.raw"
    source.write_bytes(bytes(512))
    image = member.connection.image.create_image("hidden", filename=str(source), disk_format="raw", wait=True)
    stranger = newcomer().connection.image
    with pytest.raises(openstack.exceptions.NotFoundException):
        stranger.get_image(image.id)
    assert image.id not in {each.id for each in stranger.images()}


def test_a_shared_image_is_accepted(member: Person, newcomer: Any, tmp_path: Path) -> None:
    source = tmp_path / "data.raw"
    source.write_bytes(bytes(512))
    images = member.connection.image
    image = images.create_image("shared", filename=str(source), disk_format="raw", visibility="shared", wait=True)
    friend = newcomer()
    images.add_member(image, member_id=friend.project_id)
    friend.connection.image.update_member(friend.project_id, image, status="accepted")
    assert image.id in {each.id for each in friend.connection.image.images()}


def test_a_volume_grows(member: Person) -> None:
    connection, storage = member.connection, member.connection.block_storage
    volume = connection.create_volume(1, name="data", metadata={"a": "1"}, wait=True)
    storage.extend_volume(volume, 2)
    storage.wait_for_status(storage.get_volume(volume), "available", interval=0.1, wait=60)
    assert storage.get_volume(volume).size == 2
    with pytest.raises(openstack.exceptions.BadRequestException, match="[Ss]ize"):
        storage.extend_volume(volume, 1)
    connection.delete_volume(volume.id, wait=True)
    assert list(storage.volumes()) == []


def test_a_volume_of_an_image_is_bootable(member: Person, image: Any) -> None:
    volume = member.connection.create_volume(1, name="root", image=image.id, wait=True)
    found = member.connection.block_storage.get_volume(volume)
    assert found.is_bootable
    assert found.volume_image_metadata["image_id"] == image.id
