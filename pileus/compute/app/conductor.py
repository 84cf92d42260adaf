"""The conductor: the hosts' only door to the database.

It answers for servers' data, keeps the hosts' journals and heartbeats, and adopts flows whose runner died.
"""

from typing import Any

import msgspec

from pileus.compute.app import guest_passwords
from pileus.compute.app.audit import audit
from pileus.compute.app.host_journal import HostJournal
from pileus.compute.app.launch_trace import NoTrace, launch_trace
from pileus.compute.app.power import look_at_one
from pileus.compute.domain.errors import ServerNotFound
from pileus.compute.domain.server_states import PowerState
from pileus.compute.service import CONDUCTOR, Compute
from pileus.compute.store import servers, services
from pileus.foundation.bus import Delivery
from pileus.foundation.bus.senders import by_home, by_host
from pileus.foundation.database import Transaction
from pileus.foundation.flow import StaleEpoch
from pileus.foundation.flow.operators import flow_methods
from pileus.foundation.flow.remote import JOURNAL_METHODS, journal_methods
from pileus.foundation.trace import Event

NAME = "conductor"
OPEN_TO_HOSTS = {
    **dict.fromkeys(
        ("server.data", "server.facts", "server.power", "server.password", "host.report", "host.beat", "host.epochs"),
        by_host,
    ),
    **dict.fromkeys(JOURNAL_METHODS, by_home),
}
"""What hosts may ask, and whom each message claims to come from."""


class Conductor:
    """One conductor; any number of them may serve the topic."""

    def __init__(self, compute: Compute):
        self._compute = compute

    def serve(self) -> None:
        methods = {
            "server.data": self.server_data,
            "server.facts": self.server_facts,
            "server.power": self.server_power,
            "server.password": self.server_password,
            "host.report": self.host_report,
            "host.beat": self.host_beat,
            "host.epochs": self.host_epochs,
            "hosts": self.hosts,
            "trace": self.trace,
            **flow_methods(self._compute.journal, self._compute.runner),
            "audit": self.audit,
            **journal_methods(HostJournal(self._compute), self._home_of),
        }
        self._compute.bus.serve(CONDUCTOR, methods, OPEN_TO_HOSTS)

    async def _home_of(self, flow_id: str) -> str:
        flow = await self._compute.journal.get(flow_id)
        return "" if flow is None else flow.home

    async def server_data(self, delivery: Delivery) -> dict[str, Any]:
        """Steps 16 and 17: everything a host needs to build a server, the user's token included."""
        args, name = delivery.args, self._compute.runtime.name
        started = self._compute.runtime.now()
        server = await servers.find(self._compute.database, args["server_id"])
        if server is None:
            raise ServerNotFound(server_id=args["server_id"])
        if server.host != args["host"] or server.epoch != args["epoch"]:
            raise StaleEpoch(flow_id=args.get("launch_id", ""), epoch=args["epoch"])
        token = await self._token(args.get("launch_id", ""), server.id)
        read = self._compute.runtime.now()
        flavor = server.flavor
        data: dict[str, object] = {"server": server.id, "vcpus": flavor.vcpus, "ram_mib": flavor.ram_mib,
                                   "disk_gib": flavor.disk_gib}  # fmt: skip
        delivery.trace.add(Event(16, NAME, "database", started, read - started, process=name, data={"reads": "server"}))
        delivery.trace.add(Event(17, "database", NAME, read, 0, process=name, data=data))
        return {"server": msgspec.to_builtins(server), "token": token}

    async def _token(self, launch_id: str, server_id: str) -> str:
        """The token that this server's launch keeps; the empty string once that flow has ended."""
        secret = await self._compute.journal.secret_of(launch_id, server_id) if launch_id else None
        return "" if secret is None else self._compute.sealer.open(secret, "launch").decode()

    async def server_facts(self, delivery: Delivery) -> Any:
        """A server, for the host that the row names and for no other."""
        server = await servers.get(self._compute.database, delivery.args["server_id"])
        if server.host != delivery.args["host"]:
            raise ServerNotFound(server_id=server.id)
        return msgspec.to_builtins(server)

    async def server_power(self, delivery: Delivery) -> None:
        """A guest's power state may have changed by itself: look."""
        args = delivery.args
        await look_at_one(self._compute, args["host"], args["server_id"], PowerState(args["power_state"]))

    async def server_password(self, delivery: Delivery) -> None:
        """A guest of this host leaves its password, once."""
        args = delivery.args
        await guest_passwords.keep(self._compute, args["host"], args["server_id"], args["password"])

    # -- hosts --------------------------------------------------------------------------------------------
    async def host_report(self, delivery: Delivery) -> dict[str, Any]:
        """A host says what it has; placement learns it too."""
        args, compute = delivery.args, self._compute
        inventory = args["inventory"]

        async def work(tx: Transaction) -> services.Service:
            return await services.report(
                tx, args["host"], new_id=compute.runtime.uuid(), zone=args["zone"] or compute.settings.default_zone,
                version=args["version"], inventory=inventory, roles=tuple(args["roles"]), now=compute.runtime.now(),
            )  # fmt: skip

        service = await compute.database.transact(work)
        await compute.placement.ensure_provider(service.id, args["host"], self._inventory(inventory))
        return {"service_id": service.id}

    def _inventory(self, inventory: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What placement counts of a host; its unit rules are the inventory's totals."""
        settings = self._compute.settings

        def entry(total: int, ratio: float, reserved: int = 0) -> dict[str, Any]:
            return {
                "total": max(total, 1), "reserved": min(reserved, max(total - 1, 0)), "min_unit": 1,
                "max_unit": max(total, 1), "step_size": 1, "allocation_ratio": ratio,
            }  # fmt: skip

        return {
            "VCPU": entry(inventory["vcpus"], settings.cpu_ratio),
            "MEMORY_MB": entry(inventory["ram_mib"], settings.ram_ratio, settings.reserved_ram_mib),
            "DISK_GB": entry(inventory["disk_gib"], settings.disk_ratio),
        }

    async def host_beat(self, delivery: Delivery) -> int | None:
        """A heartbeat, answered by the number of the host's open flows; None asks it to report itself again."""
        host = delivery.args["host"]

        async def work(tx: Transaction) -> int | None:
            known = await services.beat(tx, host, now=self._compute.runtime.now())
            return await self._compute.journal.count_open(tx, f"host:{host}") if known else None

        return await self._compute.database.transact(work)

    async def host_epochs(self, delivery: Delivery) -> dict[str, Any]:
        """What a host that comes back must know before it starts or answers anything.

        `servers` are its own with their epochs; `gone` are those of `ids` that were deleted or are elsewhere now.
        """
        host, ids = delivery.args["host"], delivery.args["ids"]
        here = await servers.epochs_on_host(self._compute.database, host)
        gone = await servers.tombstones(self._compute.database, ids)
        gone |= await servers.elsewhere(self._compute.database, ids, host)
        return {"servers": here, "gone": gone}

    # -- what operators ask -------------------------------------------------------------------------------
    async def hosts(self, delivery: Delivery) -> list[dict[str, Any]]:
        """Every host with its state as this process sees it."""
        found = await services.all_services(self._compute.database)
        return [
            {
                "host": row.host, "service": row.name, "zone": row.zone, "version": row.version,
                "is_alive": self._compute.hosts_alive(row.host, row.beats), "is_disabled": row.is_disabled,
                "last_seen_at": row.last_seen_at,
            }
            for row in found
        ]  # fmt: skip

    async def trace(self, delivery: Delivery) -> dict[str, Any]:
        """The 28 steps of a launch; `project_id` None looks at any project's servers."""
        args, database = delivery.args, self._compute.database
        server_id = args["server_id"]
        server = await servers.find(database, server_id) or await servers.find_deleted(database, server_id)
        if server is None or args["project_id"] not in (None, server.project_id):
            raise NoTrace(server_id=server_id)
        return await launch_trace(self._compute, server_id, show_hosts=args["show_hosts"])

    async def audit(self, delivery: Delivery) -> list[dict[str, Any]]:
        return await audit(self._compute)
