"""The disk is full: what cannot be promised is refused and says so; once there is room, everything goes on.

The database is made full by SQLite's own limit on its pages; a whole state directory by a file system of its own size.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import User, World
from tests.conftest import Run
from tests.holdings import holdings, violations

MEND = b"Free space"


@contextlib.contextmanager
def no_room_in_the_database(world: World) -> Iterator[None]:
    """SQLite answers SQLITE_FULL to whatever needs a new page."""
    writer = world.cloud.database._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        writer.execute("PRAGMA max_page_count = 1073741823")


async def fill(admin: User) -> None:
    """Use up what is left in the pages there are. Every refusal must name the mend."""
    for number in range(400):
        body = {"network": {"name": f"filler {number}", "description": "x" * 200}}
        answer = await admin.request("network", "POST", "/networks", body)
        if answer.status == 503:
            assert MEND in answer.body
            return
        assert answer.status in (201, 409), answer.body
    raise AssertionError("it never became full")


def test_a_full_database_refuses_what_it_cannot_keep_and_goes_on_later(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1, lease_s=1.0)
        await world.start()
        admin = await world.admin()
        await admin.need("network", "PUT", f"/quotas/{admin.project_id}", {"quota": {"network": 1000}})
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        network = await admin.create_network("net")
        servers = [await admin.launch(f"s{n}", flavor=flavor, image=image, networks=[{"uuid": network}])
                   for n in range(2)]  # fmt: skip
        for server in servers:
            assert (await admin.at_rest(server) or {}).get("status") == "ACTIVE"
        before = (await admin.get("compute", "/servers"))["servers"]
        with no_room_in_the_database(world):
            await fill(admin)
            big = {"metadata": {f"k{n}": "v" * 250 for n in range(100)}}
            refused = await admin.request("compute", "POST", "/servers", {"server": {
                "name": "no room", "flavorRef": flavor, "imageRef": image, "networks": "none", **big}})  # fmt: skip
            assert refused.status == 503, refused.body
            assert MEND in refused.body
            assert (await admin.get("compute", "/servers"))["servers"] == before
            assert (await admin.get("network", f"/networks/{network}"))["network"]["name"] == "net"
        ok = await admin.launch("room", flavor=flavor, image=image, networks=[{"uuid": network}])
        assert (await admin.at_rest(ok) or {}).get("status") == "ACTIVE"
        await world.settle()
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []


def test_a_launch_that_meets_a_full_database_waits_for_room_or_ends_clean(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1, lease_s=0.5)
        await world.start()
        admin = await world.admin()
        await admin.need("network", "PUT", f"/quotas/{admin.project_id}", {"quota": {"network": 1000}})
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        network = await admin.create_network("net")
        ids = []
        for _ in range(4):
            ids.append(await admin.launch("held", flavor=flavor, image=image, networks=[{"uuid": network}],
                                          metadata={"pileus:delay": "spawn:0.2"}))  # fmt: skip
        with no_room_in_the_database(world):
            await fill(admin)
            await world.runtime.sleep(1.0)
        await world.settle(60.0)
        for server_id in ids:
            found = await admin.at_rest(server_id, 30.0)
            assert found is not None
            assert found["status"] == "ACTIVE" or "full" in found["fault"]["message"], found
        await world.settle(60.0)
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.machine
def test_a_full_disk_loses_nothing_and_leaves_nothing(run: Run, small_disk: Path) -> None:
    async def scenario() -> list[str]:
        world = World(small_disk / "cloud", hosts=1, lease_s=1.0)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small", disk_gib=0), await admin.create_image("disk")
        network = await admin.create_network("net")
        first = await admin.launch("first", flavor=flavor, image=image, networks=[{"uuid": network}])
        assert (await admin.at_rest(first) or {}).get("status") == "ACTIVE"
        used = sorted(str(path) for path in (small_disk / "cloud" / "images").rglob("*"))
        made = await admin.post("image", "/images", {"name": "big", "disk_format": "raw", "container_format": "bare"})
        headers = {"content-type": "application/octet-stream"}
        answer = await admin.request("image", "PUT", f"/images/{made['id']}/file", bytes(32 << 20), headers=headers)
        assert answer.status in (413, 503), answer.body
        assert b"space" in answer.body.lower() or b"full" in answer.body.lower(), answer.body
        assert (await admin.get("image", f"/images/{made['id']}"))["status"] == "queued"
        assert sorted(str(path) for path in (small_disk / "cloud" / "images").rglob("*")) == used
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as target:
            while True:
                target.write(bytes(4096))
        server = {"name": "full", "flavorRef": flavor, "imageRef": image, "networks": [{"uuid": network}]}
        taken = []
        for _ in range(6):
            answer = await admin.request("compute", "POST", "/servers", {"server": server})
            assert answer.status in (202, 503), answer.body
            if answer.status == 202:
                taken.append(answer.json()["server"]["id"])
            else:
                assert MEND in answer.body
        await world.runtime.sleep(1.0)
        filler.unlink()
        await world.settle(120.0)
        for server_id in taken:
            found = await admin.at_rest(server_id, 60.0)
            assert found is not None
            assert found["status"] == "ACTIVE" or "full" in found["fault"]["message"], found
        await world.settle(60.0)
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []
