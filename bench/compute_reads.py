"""How much CPU reading servers costs: one, and a page of 100, straight into the application (no socket, no real token).

    .venv/bin/python bench/compute_reads.py [--servers 1000] [--rounds 2000]

Prints microseconds of CPU for each request. The design's limits, over HTTP: 120 for one server, 350 for a page.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pileus.foundation.database import SqliteDatabase
from pileus.foundation.runtime import Runtime
from tests.unit.compute.cloud import Cloud, start, uuid

CASES = (
    ("show, first, member", "/servers/{id}", "2.1", "alice"),
    ("show, first, admin", "/servers/{id}", "2.1", "admin"),
    ("show, latest, member", "/servers/{id}", "2.100", "alice"),
    ("show, latest, admin", "/servers/{id}", "2.100", "admin"),
    ("show, 2.53, member", "/servers/{id}", "2.53", "alice"),
    ("list 100, first, member", "/servers/detail?limit=100", "2.1", "alice"),
    ("list 100, first, admin", "/servers/detail?limit=100&all_tenants=1", "2.1", "admin"),
    ("list 100, latest, member", "/servers/detail?limit=100", "2.100", "alice"),
    ("list 100, latest, admin", "/servers/detail?limit=100&all_tenants=1", "2.100", "admin"),
    ("list 100, 2.53, member", "/servers/detail?limit=100", "2.53", "alice"),
    ("names of 100, first, member", "/servers?limit=100", "2.1", "alice"),
)


async def measure(cloud: Cloud, path: str, version: str, token: str, rounds: int) -> float:
    """Microseconds of CPU for a request, the best of five series."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for number in range(rounds):
            answer = await cloud.ask("GET", path.format(id=uuid(number % 50 + 1)), version=version, token=token)
        best = min(best, time.process_time() - began)
        assert answer.status == 200, answer.body
    return best / rounds * 1e6


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        runtime = Runtime("bench")
        cloud = await start(SqliteDatabase(Path(directory) / "bench.db", runtime), runtime)
        await cloud.host()
        for number in range(options.servers):
            await cloud.server(number + 1)
        for name, path, version, token in CASES:
            rounds = options.rounds if "show" in name else max(options.rounds // 10, 10)
            spent = await measure(cloud, path, version, token, rounds)
            print(f"{name:28} {spent:8.1f} us")
        await cloud.compute.database.close()
        await runtime.stop()


if __name__ == "__main__":
    asyncio.run(main())
