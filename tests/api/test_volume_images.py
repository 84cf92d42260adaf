"""Volumes from images, with bytes: the file back end under the API."""

from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Runtime
from pileus.volume.drivers.file import FileBackend
from pileus.volume.service import VolumeSettings
from tests.api.volume_cloud import VolumeCloud, volume_cloud
from tests.conftest import Run

IMAGE = "11111111-0000-4000-8000-000000000000"
GIB = 1 << 30


def play(run: Run, directory: Path, story: Any) -> None:
    async def told() -> None:
        runtime = Runtime("volume-files")
        backend = FileBackend(directory / "volumes", runtime)
        settings = VolumeSettings(backends=("file",))
        async with volume_cloud(directory, settings=settings, backend=backend, runtime=runtime) as cloud:
            await story(cloud, directory / "volumes")

    run(told)


def test_a_volume_from_an_image_holds_its_bytes_and_remembers_it(run: Run, tmp_path: Path) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        cloud.images.add(IMAGE, b"boot sector" + bytes(200_000) + b"end", min_disk_gib=1)
        volume = await cloud.volume(imageRef=IMAGE)
        assert (volume["status"], volume["bootable"]) == ("available", "true")
        told = volume["volume_image_metadata"]
        assert (told["image_id"], told["image_name"], told["hw_disk_bus"]) == (IMAGE, "cirros", "virtio")
        assert cloud.images.tokens == ["member@red"]
        path = files / f"volume-{volume['id']}"
        with path.open("rb") as file:
            assert file.read(11) == b"boot sector"
            file.seek(200_011)
            assert file.read(10) == b"end" + bytes(7)
        assert path.stat().st_size == GIB
        shown = await cloud.act(volume["id"], "os-show_image_metadata", expect=200)
        assert shown["metadata"]["image_id"] == IMAGE
        added = await cloud.act(volume["id"], "os-set_image_metadata", {"metadata": {"a": "b"}}, expect=200)
        assert added["metadata"]["a"] == "b"
        await cloud.act(volume["id"], "os-unset_image_metadata", {"key": "a"}, expect=200)
        await cloud.act(volume["id"], "os-unset_image_metadata", {"key": "a"}, expect=404)
        await cloud.delete(f"/volumes/{volume['id']}")
        assert await cloud.settled(volume["id"]) is None
        assert list(files.iterdir()) == []

    play(run, tmp_path, story)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"status": "queued"}, "Image is not active"),
        ({"virtual_size_bytes": 5 * GIB}, "Size of specified image 5GB is larger than volume size 1GB"),
        ({"min_disk_gib": 2}, "cannot be smaller than the image minDisk size 2GB"),
    ],
)
def test_an_image_that_does_not_fit_is_refused_at_once(
    run: Run, tmp_path: Path, facts: dict[str, Any], said: str
) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        cloud.images.add(IMAGE, b"x", **facts)
        refused = await cloud.post("/volumes", {"volume": {"size": 1, "imageRef": IMAGE}}, expect=400)
        assert said in refused["badRequest"]["message"]

    play(run, tmp_path, story)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"hash_value": "00"}, "does not match its hash"),
        ({"disk_format": "qcow2"}, "it is no qcow2 file"),
        ({"disk_format": "ploop"}, "is not known here"),
    ],
)
def test_an_image_that_cannot_be_believed_ends_in_an_error_that_says_so(
    run: Run, tmp_path: Path, facts: dict[str, Any], said: str
) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        cloud.images.add(IMAGE, b"x" * 1000, **facts)
        volume = await cloud.volume(imageRef=IMAGE)
        assert (volume["status"], volume["bootable"]) == ("error", "false")
        (message,) = (await cloud.get("/messages"))["messages"]
        assert said in message["user_message"]
        assert list(files.iterdir()) == []

    play(run, tmp_path, story)


def test_an_image_that_its_owner_may_not_read_any_more_ends_in_an_error(run: Run, tmp_path: Path) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        cloud.images.add(IMAGE, b"x" * 1000)
        cloud.images.is_forbidden = True
        assert (await cloud.volume(imageRef=IMAGE))["status"] == "error"
        assert list(files.iterdir()) == []

    play(run, tmp_path, story)


def test_a_volume_is_as_large_as_its_attachment_says_after_it_grew(run: Run, tmp_path: Path) -> None:
    async def story(cloud: VolumeCloud, files: Path) -> None:
        volume = await cloud.volume()
        await cloud.act(volume["id"], "os-extend", {"new_size": 3})
        await cloud.settled(volume["id"])
        held = await cloud.attachment(volume["id"], "22222222-2222-4222-8222-222222222222")
        body = {"attachment": {"connector": {"host": "h"}}}
        info = (await cloud.put(f"/attachments/{held['id']}", body, as_="service"))["attachment"]["connection_info"]
        assert Path(info["path"]).stat().st_size == 3 * GIB
        assert (info["driver_volume_type"], info["format"]) == ("file", "raw")

    play(run, tmp_path, story)


def test_a_volume_that_lost_its_data_is_found_by_the_audit(run: Run, tmp_path: Path) -> None:
    from pileus.volume.app.audit import audit

    async def story(cloud: VolumeCloud, files: Path) -> None:
        kept, lost, short = await cloud.volume(), await cloud.volume(), await cloud.volume(size=2)
        assert await audit(cloud.service) == []
        (files / f"volume-{lost['id']}").unlink()
        (files / f"volume-{short['id']}").write_bytes(bytes(GIB // 1024))
        stray = "99999999-9999-4999-8999-999999999999"
        (files / f"volume-{stray}").touch()
        found = {(one["invariant"], one["subject"]) for one in await audit(cloud.service)}
        assert found == {
            ("every volume has its data", lost["id"]),
            ("a volume is as large as promised", short["id"]),
            ("no data without a volume", stray),
        }
        assert kept["status"] == "available"

    play(run, tmp_path, story)
