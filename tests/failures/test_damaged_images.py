"""Bytes that are not what they were: nobody boots from them, the fault names the image, and nothing is left."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.simulation import simulate
from tests.cloud import User, World
from tests.holdings import holdings, violations

DATA = bytes(range(256)) * 4096


def stored(state: Path) -> Path:
    """The image's file in the store."""
    (found,) = [path for path in (state / "images").rglob("*") if path.is_file() and path.stat().st_size == len(DATA)]
    return found


def truncate(path: Path) -> None:
    path.write_bytes(DATA[: len(DATA) // 2])


def tamper(path: Path) -> None:
    path.write_bytes(DATA[:-1] + b"!")


def lose(path: Path) -> None:
    path.unlink()


DAMAGES = (truncate, tamper, lose)


async def _ended(user: User, state: Path, image: str) -> tuple[Any, list[str]]:
    server_id = await user.launch("s", flavor=await user.create_flavor("small"), image=image)
    server = await user.at_rest(server_id)
    await user.world.settle()
    held = holdings(state)
    left = [*violations(held), *held.of(server_id)]
    left += [str(path) for path in (state / "base-images").glob("**/*") if path.is_file()]
    found = await user.world.audit()
    left += [str(one) for one in found if one["invariant"] != "every active image has its bytes"]
    return server, left


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_server_never_boots_from_a_damaged_image(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    async def story(chance: Any) -> None:
        world = World(tmp_path, chance)
        await world.start()
        admin = await world.admin()
        image = await admin.create_image("disk", DATA)
        damage(stored(tmp_path))
        server, left = await _ended(admin, tmp_path, image)
        assert server["status"] == "ERROR"
        assert image in server["fault"]["message"], server["fault"]
        assert "upload" in server["fault"]["message"], server["fault"]
        await admin.delete("compute", f"/servers/{server['id']}")
        assert await admin.at_rest(server["id"]) is None
        assert left == []
        await world.stop()

    simulate(1, story)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_download_of_a_damaged_image_never_looks_whole(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    async def story(chance: Any) -> None:
        world = World(tmp_path, chance, hosts=1)
        await world.start()
        admin = await world.admin()
        image = await admin.create_image("disk", DATA)
        damage(stored(tmp_path))
        shown = await admin.get("image", f"/images/{image}")
        try:
            answer = await admin.request("image", "GET", f"/images/{image}/file")
        except OSError:
            return  # the stream breaks off: a client sees fewer bytes than were announced
        if answer.status == 200:
            assert hashlib.sha512(answer.body).hexdigest() != shown["os_hash_value"]  # by which a client sees it
        else:
            assert (answer.status, b"upload" in answer.body) == (503, True)
        await world.stop()

    simulate(1, story)


def test_a_cached_base_image_is_believed_only_after_its_hash(tmp_path: Path) -> None:
    async def story(chance: Any) -> None:
        world = World(tmp_path, chance, hosts=1)
        await world.start()
        admin = await world.admin()
        image = await admin.create_image("disk", DATA)
        flavor = await admin.create_flavor("small")
        first = await admin.launch("one", flavor=flavor, image=image)
        assert (await admin.at_rest(first) or {}).get("status") == "ACTIVE"
        (base,) = [path for path in (tmp_path / "base-images").glob("*") if path.is_file()]
        base.chmod(0o600)
        base.write_bytes(b"not what it was")
        await world.stop()
        await world.start()
        second = await admin.launch("two", flavor=flavor, image=image)
        assert (await admin.at_rest(second) or {}).get("status") == "ACTIVE"
        assert base.read_bytes() == DATA
        await world.stop()

    simulate(1, story)
