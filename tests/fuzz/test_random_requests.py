"""Random requests against every service: no answer is a 500, none hangs, memory stays flat.

`PILEUS_FUZZ=10000 pytest tests/fuzz` sends that many; a failing one names its seed and number.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from tests.cloud import SERVICES, User, World
from tests.conftest import Run
from tests.fuzz.requests import draw

COUNT = int(os.environ.get("PILEUS_FUZZ", "1500"))
SEED = int(os.environ.get("PILEUS_SEED", "2"))
HANGS_S = 60.0


async def known_ids(user: User) -> dict[str, list[str]]:
    """Things that exist, by the names of path parameters."""
    flavor, image = await user.create_flavor("small"), await user.create_image("disk")
    network = await user.create_network("net")
    port = await user.create_port(network)
    volume = await user.create_volume("data")
    server = await user.launch("victim", flavor=flavor, image=image, networks=[{"uuid": network}])
    await user.at_rest(server)
    providers = (await user.get("placement", "/resource_providers"))["resource_providers"]
    return {
        "server_id": [server], "flavor_id": [flavor], "image_id": [image], "network_id": [network], "port_id": [port],
        "volume_id": [volume], "user_id": [user.user_id], "uuid": [providers[0]["uuid"]], "consumer_uuid": [server],
        "project_id": [user.project_id], "target_project_id": [user.project_id],
    }  # fmt: skip


def memory_mib() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def test_no_request_is_answered_500_or_hangs(run: Run, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud")
        await world.start()
        admin = await world.admin()
        known = await known_ids(admin)
        chance = random.Random(SEED)
        apis = {name: world.cloud._apps[name].api for name in SERVICES}
        bad: list[str] = []
        halfway = 0.0
        seen: Counter[int] = Counter()
        for number in range(COUNT):
            name = chance.choice(SERVICES)
            drawn = draw(chance, f"/{name}", apis[name], known, admin.token)
            if _ends_the_session(drawn.path, drawn.method):
                continue
            try:
                async with asyncio.timeout(HANGS_S):
                    answer = await world.ask(drawn.method, drawn.path, drawn.body, drawn.headers)
            except TimeoutError:
                bad.append(f"{number}: hangs: {drawn}")
                continue
            seen[answer.status] += 1
            if answer.status >= 500 and answer.status not in (501, 503):
                bad.append(f"{number}: {answer.status} {str(drawn)[:400]} -> {answer.body[:200]!r}")
            if number == COUNT // 2:
                halfway = memory_mib()
        assert seen[200] + seen[201] + seen[202] + seen[204] > COUNT // 20, f"hardly anything was accepted: {seen}"
        assert memory_mib() < halfway + 60
        assert await (await world.admin()).get("identity", "/projects")
        await world.stop()
        return bad

    bad: Any = run(scenario)
    assert not bad, "\n".join(bad[:40])


def _ends_the_session(path: str, method: str) -> bool:
    """What would take the administrator's own rights away is tried elsewhere."""
    return method in ("DELETE", "PATCH") and path.startswith(("/identity/v3/users", "/identity/v3/projects",
                                                             "/identity/v3/auth", "/identity/v3/domains"))  # fmt: skip
