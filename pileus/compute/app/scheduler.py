"""The scheduler: takes `select_host` from the bus, ranks on a snapshot, claims in placement, names the host in the row.

Steps 9 to 12 of a launch. The claim decides, not the snapshot: a lost claim means the next host, and "no valid host"
is said only after a pass over fresh figures. Repeated, it answers with the host that the row already names.
"""

from functools import partial
from typing import Any

from msgspec.structs import replace

from pileus.compute.domain import scheduling
from pileus.compute.domain.candidate import Candidate, Inventory, Policy, Wanted, wanted_of
from pileus.compute.domain.errors import ServerNotFound
from pileus.compute.domain.launch import WantedPlace
from pileus.compute.domain.server import Server, changed
from pileus.compute.domain.server_states import REMOVES, Action
from pileus.compute.flows.launch_server import build_id, cast_launch
from pileus.compute.service import SCHEDULER, Compute
from pileus.compute.store import server_groups, servers, services
from pileus.foundation.alone import Alone
from pileus.foundation.bus import Delivery
from pileus.foundation.database import Transaction
from pileus.foundation.errors import Conflict
from pileus.foundation.trace import Event, Trace

NAME = "scheduler"


class Superseded(Conflict):
    code = "compute.scheduling.superseded"
    message = "Server {server_id} is no longer being launched."


class GroupLost(Conflict):
    """Another member of the server group took the place while this one was being chosen."""

    code = "compute.scheduling.group-lost"


class HostPicture:
    """The hosts as placement and their own reports had them, some seconds ago at most."""

    def __init__(self, compute: Compute):
        self._compute = compute
        self._hosts: dict[str, Candidate] = {}
        self._asked_at = float("-inf")  # when the figures were asked for: they are no older
        self._alone = Alone()

    def age_s(self) -> float:
        return self._compute.runtime.monotonic() - self._asked_at

    async def hosts(self, *, fresh: bool, record: Trace) -> list[Candidate]:
        """The hosts; with `fresh` as they were after this was asked. Who asks meanwhile waits for the same picture."""
        oldest = self._compute.runtime.monotonic() - (0.0 if fresh else self._compute.settings.snapshot_age_s)
        if self._asked_at < oldest:
            async with self._alone.with_("picture"):
                if self._asked_at < oldest:
                    await self._take(record)
        return list(self._hosts.values())

    async def _take(self, record: Trace) -> None:
        asked_at = self._compute.runtime.monotonic()
        rows = await services.all_services(self._compute.database)
        summaries = await self._compute.placement.hosts(record=record)
        self._hosts = {}
        for row in rows:
            if row.name == services.HOST_SERVICE:
                alive = self._compute.hosts_alive(row.host, row.beats) and not row.is_forced_down
                self._hosts[row.host] = _candidate(row, summaries.get(row.id), is_alive=alive)
        self._asked_at = asked_at

    def took(self, host: str, wanted: Wanted) -> None:
        """Count a claim that was just made, so that the next choice sees it."""
        known = self._hosts.get(host)
        if known is not None:
            self._hosts[host] = replace(
                known,
                free_ram_mib=known.free_ram_mib - wanted.ram_mib,
                free_vcpus=known.free_vcpus - wanted.vcpus,
                free_disk_gib=known.free_disk_gib - wanted.disk_gib,
            )

    def behind(self, provider_id: str | None) -> Candidate | None:
        """The host of a provider, if the picture shows it."""
        return next((known for known in self._hosts.values() if known.provider_id == provider_id), None)

    def is_full(self, host: str) -> None:
        """Placement refused: the picture was wrong about this host."""
        known = self._hosts.get(host)
        if known is not None:
            self._hosts[host] = replace(known, free_vcpus=0)


def _candidate(row: services.Service, summary: Any | None, *, is_alive: bool) -> Candidate:
    """A host without a summary has no free vCPU."""
    resources = summary["resources"] if summary is not None else {}

    def free(name: str) -> int:
        entry = resources.get(name)
        return Inventory(entry["capacity"], entry["used"]).free if entry else 0

    inventory = row.inventory
    return Candidate(
        host=row.host,
        node=inventory.get("hostname", row.host),
        provider_id=row.id,
        zone=row.zone,
        free_ram_mib=free("MEMORY_MB"),
        free_vcpus=free("VCPU"),
        free_disk_gib=free("DISK_GB"),
        is_enabled=not row.is_disabled,
        is_alive=is_alive,
        architectures=frozenset(inventory.get("architectures", ())),
        hypervisor_types=frozenset({str(inventory["hypervisor_type"]).lower(), str(inventory["virt_type"]).lower()})
        if "hypervisor_type" in inventory
        else frozenset(),
    )


class Scheduler:
    """One scheduler; any number of them may serve the topic."""

    def __init__(self, compute: Compute):
        self._compute = compute
        self._picture = HostPicture(compute)
        self._alone = Alone()

    def serve(self) -> None:
        self._compute.bus.serve(SCHEDULER, {"select_host": self.select_host})

    async def select_host(self, delivery: Delivery) -> dict[str, Any]:
        """Choose and claim a host for a server, write it into the row, and cast the launch to it.

        Asked again it names the same host, also when the server has come up there meanwhile.
        """
        args, record = delivery.args, delivery.trace
        async with self._alone.with_(args["server_id"]):  # the message may have come twice
            server = await self._placed(args, record)
        if server.action is Action.LAUNCH:
            await cast_launch(self._compute, server, args["flow_id"], args["attempt"], delivery.request_id, record)
        return {
            "host": server.host,
            "epoch": server.epoch,
            "build": build_id(args["flow_id"], args["attempt"]),
        }

    async def _placed(self, args: dict[str, Any], record: Trace) -> Server:
        server = await servers.find(self._compute.database, args["server_id"])
        if server is None:
            raise ServerNotFound(server_id=args["server_id"])
        if server.action in REMOVES:
            raise Superseded(server_id=server.id)
        if server.host is not None:
            return server
        if server.action is not Action.LAUNCH:
            raise Superseded(server_id=server.id)
        return await self._place(server, args, record)

    async def _place(self, server: Server, args: dict[str, Any], record: Trace) -> Server:
        wanted = await self._wanted(server, args)
        started = self._compute.runtime.now()
        for fresh in (False, True):
            hosts = await self._picture.hosts(fresh=fresh, record=record)
            age = self._picture.age_s()
            ranking = scheduling.rank_hosts(hosts, wanted, seed=self._seed())
            for chosen in ranking.hosts:
                placed = await self._try(server, chosen, wanted, record)
                if placed is not None:
                    self._record(record, started, ranking.funnel, placed.host, age)
                    return placed
        self._record(record, started, ranking.funnel, None, age)
        raise scheduling.no_valid_host(ranking.funnel)

    async def _try(self, server: Server, chosen: Candidate, wanted: Wanted, record: Trace) -> Server | None:
        """Claim on one host and name it in the row; None when somebody else was faster.

        Where another scheduler holds a claim for this server already, there it goes: two that were told the same may
        each die at any line, and what one has left must be what the other finishes.
        """
        resources = {"VCPU": wanted.vcpus, "MEMORY_MB": wanted.ram_mib, "DISK_GB": wanted.disk_gib}
        claim = partial(
            self._compute.placement.claim, server.id, resources=resources, project_id=server.project_id,
            user_id=server.user_id, record=record,
        )  # fmt: skip
        holder = await claim(chosen.provider_id)
        if holder != chosen.provider_id:
            held = self._picture.behind(holder)
            if held is not None and held.host not in wanted.tried_hosts:
                chosen = held
            elif holder is None or not await claim(chosen.provider_id, moves=True):
                self._picture.is_full(chosen.host)
                return None
        started = self._compute.runtime.now()
        try:
            placed = await self._compute.database.transact(lambda tx: self._name_host(tx, server, chosen))
        except GroupLost:
            await self._compute.placement.release(server.id)
            return None
        except Superseded:
            await self._compute.placement.release(server.id)
            raise
        if placed.host != chosen.host:  # another scheduler was faster: the claim goes where the row says
            await claim((await services.of_host(self._compute.database, str(placed.host))).id, moves=True)
            return placed
        self._picture.took(chosen.host, wanted)
        now = self._compute.runtime.now()
        record.add(Event(11, "database", NAME, started, now - started, process=self._compute.runtime.name,
                         data={"host": chosen.host, "epoch": placed.epoch}))  # fmt: skip
        return placed

    async def _name_host(self, tx: Transaction, server: Server, chosen: Candidate) -> Server:
        """Step 11: compare-and-set, with the server group's row locked and its members looked at again."""
        if server.server_group_id is not None:
            await tx.lock("server-group", server.server_group_id)
            group = await server_groups.find(tx, server.server_group_id)
            if group is not None:
                where = await servers.hosts_of_group(tx, server.server_group_id)
                others = [host for member, host in where.items() if member != server.id and host is not None]
                _check_group(group, others, chosen.host)
        current = await servers.get(tx, server.id)
        if current.action is not Action.LAUNCH:
            raise Superseded(server_id=server.id)
        if current.host is not None:
            return current
        after = changed(
            current, self._compute.runtime.now(), host=chosen.host, node=chosen.node, epoch=current.epoch + 1,
            availability_zone=chosen.zone,
        )  # fmt: skip
        return await servers.save(tx, current, after, self._compute.render)

    async def _wanted(self, server: Server, args: dict[str, Any]) -> Wanted:
        place = WantedPlace(**args.get("place", {}))
        wanted = wanted_of(
            server.flavor, server.image.properties if server.image is not None else {},
            is_volume_backed=server.is_volume_backed,
        )  # fmt: skip
        wanted = replace(
            wanted, zone=server.pinned_availability_zone, host=place.host, node=place.node, is_forced=place.is_forced,
            tried_hosts=frozenset(args.get("tried", ())),
        )  # fmt: skip
        if server.server_group_id is not None:
            wanted = await self._with_group(wanted, server)
        return await self._with_hints(wanted, server)

    async def _with_group(self, wanted: Wanted, server: Server) -> Wanted:
        assert server.server_group_id is not None
        group = await server_groups.find(self._compute.database, server.server_group_id)
        if group is None:
            return wanted
        where = await servers.hosts_of_group(self._compute.database, server.server_group_id)
        counts: dict[str, int] = {}
        for member, host in where.items():
            if host is not None and member != server.id:
                counts[host] = counts.get(host, 0) + 1
        return replace(
            wanted, policy=Policy(group.policy), group_hosts=counts, max_per_host=group.max_server_per_host or 1
        )

    async def _with_hints(self, wanted: Wanted, server: Server) -> Wanted:
        same = await self._hint(server, "same_host")
        different = await self._hint(server, "different_host")
        if not same and not different:
            return wanted
        return replace(wanted, same_hosts=same, different_hosts=different)

    async def _hint(self, server: Server, name: str) -> frozenset[str]:
        named = server.scheduler_hints.get(name, ())
        ids = [named] if isinstance(named, str) else list(named)
        found = [await servers.find(self._compute.database, str(server_id)) for server_id in ids]
        return frozenset(other.host for other in found if other is not None and other.host is not None)

    def _seed(self) -> int:
        return int.from_bytes(self._compute.runtime.random_bytes(4), "big")

    def _record(self, record: Trace, started: int, funnel: scheduling.Funnel, chosen: str | None, age_s: float) -> None:
        now = self._compute.runtime.now()
        steps = [{"filter": step.filter, "left": step.left} for step in funnel.steps]
        data: dict[str, object] = {"hosts": funnel.total, "funnel": steps, "snapshot_age_s": round(age_s, 3)}
        if chosen is not None:
            data["chosen"] = chosen
        record.add(Event(10, NAME, "database", started, now - started, process=self._compute.runtime.name, data=data))


def _check_group(group: Any, others: list[str], host: str) -> None:
    """Raises: GroupLost."""
    if group.policy == Policy.AFFINITY and others and host not in others:
        raise GroupLost()
    if group.policy == Policy.ANTI_AFFINITY and others.count(host) >= (group.max_server_per_host or 1):
        raise GroupLost()
