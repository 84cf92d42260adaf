"""The world of a history: two projects with their people and things, built once and copied for each seed."""

import random
import shutil
from pathlib import Path
from typing import Any

from pileus import secrets_file
from pileus.foundation.simulation import simulate
from pileus.foundation.state_directory import ensure_state
from pileus.identity.app.bootstrap import ensure_host
from pileus.secrets_file import Secrets
from pileus.wiring.hosts import account_of
from tests.cloud import User, World
from tests.flows.stage import scratch

CAPACITY = {"vcpus": "6", "ram_mib": "2048", "disk_gib": "40"}
HOSTS = 3
PROJECTS = {"red": ("ann", "abe"), "blue": ("bob",)}
BASE_SEED = -1


def settings() -> dict[str, Any]:
    """Small hosts, so that they fill; a short lease, so that orphans are adopted soon."""
    return {"hosts": HOSTS, "hypervisor_options": CAPACITY, "lease_s": 6.0}


class Base:
    """The directory that every history begins with, and the ids of what is in it."""

    def __init__(self) -> None:
        self.root = scratch()
        self.path = self.root / "base"
        self.ids: dict[str, str] = simulate(BASE_SEED, self._build)

    async def _build(self, chance: random.Random) -> dict[str, str]:
        world = World(self.path, chance, **settings())
        world.clock_offset_s = -5000.0
        ensure_state(self.path)
        await world.start()
        admin = await world.admin()
        ids = {
            "tiny": await admin.create_flavor("tiny", ram_mib=128, vcpus=1),
            "small": await admin.create_flavor("small", ram_mib=512, vcpus=2, disk_gib=5),
            "huge": await admin.create_flavor("huge", ram_mib=1 << 20, vcpus=64),
            "image": await admin.create_image("blank", visibility="public"),
        }
        for number, (project, users) in enumerate(PROJECTS.items()):
            ids[project] = await admin.create_project(project)
            for name in users:
                user: User = await admin.create_user(name, ids[project])
                ids[name] = user.user_id
            ids[f"{project} net"] = await user.create_network(f"{project}-net", f"10.{number}.0.0/24")
        for number in range(HOSTS):  # accounts of their own, for when each is a process of its own
            account = account_of(host := f"host-{number + 1}")
            keys = Secrets(accounts={account: await ensure_host(world.cloud.identity, account)})
            secrets_file.write(self.root / host, keys)
        await world.settle()
        await world.stop()
        return ids

    def copy(self, name: str) -> Path:
        target = self.root / name
        shutil.copytree(self.path, target)
        return target

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
