"""Bodies that are too large, too deep, or no JSON: refused by every service, and the next request is served."""

from pathlib import Path
from typing import Any

import pytest

from tests.cloud import World
from tests.conftest import Run

TAKERS = {
    "identity": "/identity/v3/auth/tokens", "compute": "/compute/v2.1/servers", "image": "/image/v2/images",
    "networking": "/networking/v2.0/networks", "volume": "/volume/v3/volumes",
    "placement": "/placement/resource_providers",
}  # fmt: skip
DEEP = {
    "arrays": b"[" * 100_000, "objects": b'{"a":' * 50_000, "closed": b'{"server":' + b"[" * 9000 + b"]" * 9000 + b"}",
    "just too deep": b'{"a":' * 70 + b"1" + b"}" * 70,
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_a_deep_document_is_refused_by_every_service(run: Run, tmp_path: Path, name: str) -> None:
    """OSSN-0099."""

    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        token = (await world.admin()).token
        for service, path in TAKERS.items():
            answer = await world.ask("POST", path, DEEP[name], {"x-auth-token": token})
            assert answer.status in (400, 413), (service, answer.status, answer.body)
        assert (await world.admin()).token
        await world.stop()

    run(scenario)


def test_a_megabyte_of_metadata_is_refused_and_told_so(run: Run, tmp_path: Path) -> None:
    big = {f"key-{number}": "v" * 250 for number in range(4000)}

    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        documents: list[tuple[str, str, Any]] = [
            ("compute", "/servers", {"server": {"name": "x", "flavorRef": flavor, "imageRef": image,
                                                "networks": "none", "metadata": big}}),
            ("volume", "/volumes", {"volume": {"size": 1, "metadata": big}}),
            ("image", "/images", {"name": "x", **big}),
            ("network", "/networks", {"network": {"name": "x" * 1_000_000}}),
            ("identity", "/projects", {"project": {"name": "x", **big}}),
        ]  # fmt: skip
        for service, path, document in documents:
            answer = await admin.request(service, "POST", path, document)
            assert answer.status == 413, (service, answer.status, answer.body[:200])
        huge = await admin.request("placement", "POST", "/resource_providers", {"name": "x" * 1_000_000})
        assert huge.status == 400  # placement takes bodies with the allocations of many
        assert len(huge.body) < 4000
        assert (await admin.get("compute", "/servers"))["servers"] == []
        assert (await admin.get("volume", "/volumes"))["volumes"] == []
        await world.stop()

    run(scenario)


def test_much_metadata_within_the_body_s_limit_meets_the_quota(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        server = {"name": "x", "flavorRef": flavor, "imageRef": image, "networks": "none"}
        many = {f"key-{number}": "v" for number in range(129)}
        answer = await admin.request("compute", "POST", "/servers", {"server": server | {"metadata": many}})
        assert answer.status == 403
        assert b"exceeds 128" in answer.body
        await world.stop()

    run(scenario)
