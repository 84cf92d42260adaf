"""Loads a cloud through its public API: boots and deletes many at once, lists among many, and what the scheduler took.

    eval "$(pileus openrc)"; python -m bench.load churn --count 10000 --at-once 50 [--process PID ...] [--write]
    python -m bench.load grow --sizes 100,1000,10000        list pages and scheduling among so many servers

`churn` boots a server, waits until it is ACTIVE, deletes it and waits until it is gone, so often; a failure is counted
and named. `grow` leaves servers there until it has measured at each size, and deletes them at the end. It is meant for
clouds with fake hosts; quotas of the project are lifted. Memory is PSS of the processes named. `--write` puts the table
into docs/reliability.md.
"""

import argparse
import asyncio
import contextlib
import os
import re
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from tools.paper import put

VERSION = {"openstack-api-version": "compute 2.96"}
POLL_S = 0.25
PATIENCE_S = 180.0
REST_S = 20.0
"""Before lists are measured: what boots have left to do is over."""
NAME = "load"


class Cloud:
    """The project of the environment's user; what it needs is made, and named after us."""

    def __init__(self, http: aiohttp.ClientSession):
        self.http = http
        self.urls: dict[str, str] = {}
        self.server: dict[str, Any] = {}
        self.project_id = ""

    async def enter(self) -> None:
        env = os.environ
        domain = {"name": env["OS_USER_DOMAIN_NAME"]}
        user = {"name": env["OS_USERNAME"], "password": env["OS_PASSWORD"], "domain": domain}
        scope = {"project": {"name": env["OS_PROJECT_NAME"], "domain": {"name": env["OS_PROJECT_DOMAIN_NAME"]}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        async with self.http.post(f"{env['OS_AUTH_URL']}/auth/tokens", json=body) as answer:
            token = (await answer.json())["token"]
            self.http.headers["x-auth-token"] = answer.headers["x-subject-token"]
        self.project_id = token["project"]["id"]
        for service in token["catalog"]:
            self.urls[service["type"]] = next(e["url"] for e in service["endpoints"] if e["interface"] == "public")
        await self._furnish()

    async def _furnish(self) -> None:
        quotas = {"quota_set": dict.fromkeys(("instances", "cores", "ram", "server_groups"), -1)}
        await self.ask("PUT", "compute", f"/os-quota-sets/{self.project_id}", quotas)
        await self.ask("PUT", "network", f"/v2.0/quotas/{self.project_id}", {"quota": {"port": -1, "network": -1}})
        flavors = (await self.ask("GET", "compute", "/flavors"))["flavors"]
        flavor = next((known["id"] for known in flavors if known["name"] == NAME), None)
        if flavor is None:
            facts = {"name": NAME, "ram": 64, "vcpus": 1, "disk": 1}
            flavor = (await self.ask("POST", "compute", "/flavors", {"flavor": facts}))["flavor"]["id"]
        self.server = {
            "flavorRef": flavor,
            "imageRef": await self._image(),
            "networks": [{"uuid": await self._network()}],
        }

    async def _image(self) -> str:
        found = (await self.ask("GET", "image", f"/v2/images?name={NAME}"))["images"]
        if found:
            return str(found[0]["id"])
        image = {"name": NAME, "disk_format": "raw", "container_format": "bare"}
        made = (await self.ask("POST", "image", "/v2/images", image))["id"]
        octets = {"content-type": "application/octet-stream"}
        url = f"{self.urls['image']}/v2/images/{made}/file"
        async with self.http.put(url, data=bytes(1 << 20), headers=octets) as answer:
            assert answer.status == 204, await answer.text()
        return str(made)

    async def _network(self) -> str:
        found = (await self.ask("GET", "network", f"/v2.0/networks?name={NAME}"))["networks"]
        if found:
            return str(found[0]["id"])
        made = (await self.ask("POST", "network", "/v2.0/networks", {"network": {"name": NAME}}))["network"]["id"]
        subnet = {"subnet": {"network_id": made, "ip_version": 4, "cidr": "10.64.0.0/16"}}
        await self.ask("POST", "network", "/v2.0/subnets", subnet)
        return str(made)

    async def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """The document of an answer; None for what is not there. Raises: RuntimeError."""
        headers = VERSION if service == "compute" else {}
        async with self.http.request(method, self.urls[service] + path, json=body, headers=headers) as answer:
            if answer.status == 404:
                return None
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {(await answer.text())[:300]}")
            return await answer.json() if answer.status not in (202, 204) or method == "POST" else None

    # -- servers ----------------------------------------------------------------------------------------------------
    async def boot(self, name: str) -> str:
        """A server that has become ACTIVE."""
        made = await self.ask("POST", "compute", "/servers", {"server": self.server | {"name": name}})
        server_id = made["server"]["id"]
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            found = (await self.ask("GET", "compute", f"/servers/{server_id}"))["server"]
            if found["status"] == "ACTIVE":
                return str(server_id)
            if found["status"] == "ERROR":
                raise RuntimeError(found.get("fault", {}).get("message", "no fault"))
            await asyncio.sleep(POLL_S)
        raise RuntimeError(f"{server_id} is still not ACTIVE")

    async def delete(self, server_id: str) -> None:
        await self.ask("DELETE", "compute", f"/servers/{server_id}")
        ends = time.monotonic() + PATIENCE_S
        while await self.ask("GET", "compute", f"/servers/{server_id}") is not None:
            if time.monotonic() > ends:
                raise RuntimeError(f"{server_id} is still there")
            await asyncio.sleep(POLL_S)


class Tally:
    """How long each took, what failed, and what else is worth a line of the table."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}
        self.errors: list[str] = []
        self.lines: list[tuple[str, str]] = []

    async def time(self, what: str, work: Awaitable[Any]) -> Any:
        began = time.monotonic()
        result = await work
        self.took.setdefault(what, []).append((time.monotonic() - began) * 1000)
        return result

    def note(self, what: str, figure: str) -> None:
        self.lines.append((what, figure))
        print(f"{what}: {figure}", flush=True)

    def failed(self, failure: Exception) -> None:
        self.errors.append(re.sub(r"[0-9a-f-]{36}", "ID", str(failure)))

    def table(self) -> str:
        """Markdown."""
        lines = [*self.lines, ("errors", str(len(self.errors)))]
        for what, times in self.took.items():
            cuts = statistics.quantiles(times, n=20) if len(times) > 1 else [times[0]] * 19
            lines.append((what, f"p50 {_shown(cuts[9])}, p95 {_shown(cuts[18])}, longest {_shown(max(times))}"))
        return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in lines)])


def _shown(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.1f} ms"


async def crowd(count: int, at_once: int, work: Callable[[int], Awaitable[None]]) -> None:
    numbers = iter(range(count))

    async def hand() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(hand() for _ in range(at_once)))


async def churn(cloud: Cloud, count: int, at_once: int, processes: list[int]) -> Tally:
    tally = Tally()

    async def one(number: int) -> None:
        try:
            server_id = await tally.time("boot to ACTIVE", cloud.boot(f"{NAME}-{number}"))
            await tally.time("delete to 404", cloud.delete(server_id))
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as failure:
            tally.failed(failure)

    began = time.monotonic()
    await crowd(count, at_once, one)
    took = time.monotonic() - began
    what = f"{count:,} servers booted and deleted, {at_once} at once"
    tally.note(what, f"{took:.0f} s: {count / took:.1f} of each a second")
    tell_memory(tally, processes, "afterwards")
    return tally


async def grow(cloud: Cloud, sizes: list[int], at_once: int, processes: list[int]) -> Tally:
    tally = Tally()
    servers: list[str] = []

    async def boot(number: int) -> None:
        try:
            servers.append(await tally.time("boot to ACTIVE", cloud.boot(f"{NAME}-{number}")))
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as failure:
            tally.failed(failure)

    async def delete(number: int) -> None:
        try:
            await tally.time("delete to 404", cloud.delete(servers[number]))
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as failure:
            tally.failed(failure)

    took = 0.0
    for size in sorted(sizes):
        began = time.monotonic()
        await crowd(size - len(servers), at_once, boot)
        took += time.monotonic() - began
        await asyncio.sleep(REST_S)
        for _ in range(50):
            page = cloud.ask("GET", "compute", "/servers/detail?limit=100")
            await tally.time(f"a list page of 100 with details, of {size:,} servers", page)
            await tally.time(f"one server shown, of {size:,}", cloud.ask("GET", "compute", f"/servers/{servers[0]}"))
        await tell_scheduling(tally, cloud, servers[-100:])
        tell_memory(tally, processes, f"at {size:,} servers")
    tally.note(f"{len(servers):,} servers booted, {at_once} at once", f"{took:.0f} s: {len(servers) / took:.1f}/s")
    began = time.monotonic()
    await crowd(len(servers), at_once, delete)
    took = time.monotonic() - began
    tally.note(f"{len(servers):,} servers deleted, {at_once} at once", f"{took:.0f} s: {len(servers) / took:.1f}/s")
    return tally


async def tell_scheduling(tally: Tally, cloud: Cloud, servers: Iterable[str]) -> None:
    """Step 10 by the cloud's own traces: choosing without the claim; all of it where hosts were looked at anew."""
    took, anew, hosts = [], [], 0
    for server_id in servers:
        trace = await cloud.ask("GET", "pileus", f"/traces/{server_id}")
        steps = [step for step in trace["attempts"][-1]["steps"] if step["step"] == 10]
        asked = sum(step["duration_ms"] for step in steps if step.get("sub"))
        for step in steps:
            if step.get("sub"):
                continue
            hosts = max(hosts, step["data"]["hosts"])
            is_anew = step["data"]["snapshot_age_s"] * 1000 < step["duration_ms"]
            (anew if is_anew else took).append(step["duration_ms"] - (0 if is_anew else asked))
    for what, figures in (("without the claim", took), ("looking at all of them anew, with the claim", anew)):
        if figures:
            tally.note(
                f"choosing one of {hosts:,} hosts, {what}",
                f"p50 {statistics.median(figures):.2f} ms, longest {max(figures):.2f} ms, of {len(figures)}",
            )


def tell_memory(tally: Tally, processes: list[int], when: str) -> None:
    total = 0
    for pid in processes:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+)", text, re.M)
        total += int(found[1]) if found else 0
    if processes:
        tally.note(f"memory of {len(processes)} processes {when}", f"{total / 1024:,.0f} MiB PSS")


@contextlib.asynccontextmanager
async def entered(at_once: int) -> AsyncIterator[Cloud]:
    """The cloud that the environment names."""
    trust = ssl.create_default_context(cafile=os.environ.get("OS_CACERT"))
    connector = aiohttp.TCPConnector(limit=2 * at_once, ssl=trust)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        cloud = Cloud(http)
        await cloud.enter()
        yield cloud


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["churn", "grow"])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--sizes", default="100,1000,10000")
    parser.add_argument("--process", type=int, nargs="*", default=[], help="whose memory is told")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    async with entered(options.at_once) as cloud:
        if options.what == "churn":
            tally = await churn(cloud, options.count, options.at_once, options.process)
        else:
            sizes = [int(size) for size in options.sizes.split(",")]
            tally = await grow(cloud, sizes, options.at_once, options.process)
    print(tally.table())
    for text in sorted(set(tally.errors))[:10]:
        print(f"    {text}")
    if options.write:
        put(options.what, tally.table())
    return int(bool(tally.errors))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
