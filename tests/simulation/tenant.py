"""A tenant who does what tenants do, at random, and notes what the cloud says to it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from pileus.foundation.http.client import Answer
from tests.cloud import Lost, Refused, User
from tests.simulation.ledger import Ledger, Thing

Log = Callable[[str], None]

REHEARSALS = (
    {}, {}, {}, {}, {"pileus:fail": "spawn:1"}, {"pileus:fail": "spawn"}, {"pileus:fail": "disk-full:1"},
    {"pileus:fail": "unavailable:2"}, {"pileus:fail": "stop:1,start:1,reboot:1"}, {"pileus:fail": "delete:1"},
    {"pileus:fail": "attach:1,detach:1"}, {"pileus:fail": "plug:1,unplug:1"}, {"pileus:delay": "0.5"},
    {"pileus:delay": "spawn:20"}, {"pileus:fail": "crash", "pileus:delay": "crash:8"},
    {"pileus:fail": "shutdown:1", "pileus:delay": "shutdown:5"}, {"pileus:fail": "pause:50%,suspend:50%,resume:50%"},
)  # fmt: skip
VOLUME_REHEARSALS = (
    {}, {}, {}, {"pileus:fail": "create"}, {"pileus:fail": "delete:1"}, {"pileus:delay": "create:6"},
    {"pileus:fail": "attach:1"}, {"pileus:fail": "detach:1"}, {"pileus:fail": "unavailable:1"},
)  # fmt: skip
SERVER_ACTIONS: tuple[tuple[str, Any], ...] = (
    ("os-stop", None), ("os-start", None), ("reboot", {"type": "SOFT"}), ("reboot", {"type": "HARD"}),
    ("pause", None), ("unpause", None), ("suspend", None), ("resume", None), ("lock", None), ("unlock", None),
    ("changePassword", {"adminPass": "Secret-2"}), ("createImage", {"name": "copy"}),
)  # fmt: skip
DONE = (200, 201, 202, 204)


class Wrong(AssertionError):
    """The cloud said something that it must never say."""


class Tenant:
    """One user of a project, who may do several things at once."""

    def __init__(self, user: User, ids: dict[str, str], ledger: Ledger, chance: random.Random, log: Log):
        self.user = user
        self.ids = ids
        self.project = user.project
        self.strangers: list[Tenant] = []  # of other projects
        self.ledger = ledger
        self.chance = chance
        self.log = log
        self.mine = Ledger()  # only what is ours
        self.grace_s = 0.0  # for which an ended token may still be taken
        self._number = 0

    async def live(self, count: int, awake: Callable[[], Awaitable[None]]) -> None:
        """Do `count` things one after another; `awake` waits until there is a cloud."""
        for _ in range(count):
            await asyncio.sleep(self.chance.expovariate(1.0))
            await awake()
            deed = self.chance.choices(list(DEEDS), list(DEEDS.values()))[0]
            try:
                await deed(self)
            except Lost:
                self.log(f"{self.user.name}: lost in {deed.__name__}")
            except Refused as refused:
                if refused.answer.status not in (401, 503):
                    raise
                self.log(f"{self.user.name}: cannot log in for {deed.__name__}")

    # -- asking ---------------------------------------------------------------------------------------------------
    async def ask(self, service: str, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        answer = await self.user.request(service, method, path, body, **options)
        self.log(f"{self.user.name}: {method} {service} {path} {body or ''} -> {answer.status}")
        if answer.status == 500 and b"hypervisor failed" not in answer.body:  # as rehearsed
            raise Wrong(f"{method} {service} {path} {body}: 500 {answer.body[:300]!r}")
        return answer

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{self.user.name}-{kind}-{self._number}"

    def _note(self, thing: Thing) -> Thing:
        self.mine.add(thing)
        return self.ledger.add(thing)

    def _any(self, kind: str) -> Thing | None:
        known = self.mine.alive(kind)
        return self.chance.choice(known) if known else None

    async def _make(self, thing: Thing, service: str, path: str, body: Any, read: Callable[[Any], str]) -> Thing:
        """Ask for something new; unanswered it may be there or not."""
        self._note(thing)
        answer = await self.ask(service, "POST", path, body)
        if answer.status in DONE:
            thing.id, thing.is_sure = read(answer.json()), True
        else:
            thing.gone = "asked"
        return thing

    async def _remove(self, thing: Thing, service: str, path: str, promise: str) -> None:
        thing.gone = "asked"
        answer = await self.ask(service, "DELETE", path)
        if answer.status in DONE:
            thing.gone = promise
        elif answer.status in (400, 403, 409, 503):
            thing.gone = ""

    # -- servers --------------------------------------------------------------------------------------------------
    async def launch(self) -> None:
        name = self._name("server")
        server: dict[str, Any] = {
            "name": name,
            "flavorRef": self.ids[self.chance.choices(("tiny", "small", "huge"), (12, 6, 1))[0]],
            "metadata": self.chance.choice(REHEARSALS),
            "networks": self._networks(),
        }
        self._disks(server)
        if self.chance.random() < 0.2:
            server["config_drive"] = True
        body = {"server": server}
        await self._make(Thing("server", name), "compute", "/servers", body, lambda made: str(made["server"]["id"]))

    def _networks(self) -> Any:
        nets = [{"uuid": self.ids[f"{self.project} net"]}]
        port = self._any("port")
        if port is not None and self.chance.random() < 0.4:
            return [{"port": port.id}]
        return self.chance.choice(("none", nets, nets, nets, nets * 2))

    def _disks(self, server: dict[str, Any]) -> None:
        """From the image, from a volume made of it, with a further volume."""
        kind = self.chance.random()
        server["imageRef"] = self.ids["image"]
        if kind < 0.7:
            return
        root = {"boot_index": 0, "uuid": self.ids["image"], "source_type": "image", "destination_type": "local"}
        if kind > 0.85:
            root |= {"destination_type": "volume", "volume_size": 1, "delete_on_termination": True}
            server["imageRef"] = ""
        server["block_device_mapping_v2"] = [root]
        volume = self._any("volume")
        if volume is not None and self.chance.random() < 0.6:
            more = {"uuid": volume.id, "source_type": "volume", "destination_type": "volume"}
            server["block_device_mapping_v2"].append(more)

    async def delete_server(self) -> None:
        server = self._any("server")
        if server is not None:
            await self._remove(server, "compute", f"/servers/{server.id}", "promised")

    async def delete_server_twice(self) -> None:
        server = self._any("server")
        if server is None:
            return
        server.gone = "asked"
        path = f"/servers/{server.id}"
        answers = await asyncio.gather(*(self.ask("compute", "DELETE", path) for _ in range(2)))
        if any(answer.status == 204 for answer in answers):
            server.gone = "promised"
        elif all(answer.status in (409, 503) for answer in answers):
            server.gone = ""

    async def act(self) -> None:
        server = self._any("server")
        if server is not None:
            action, args = self.chance.choice(SERVER_ACTIONS)
            await self.ask("compute", "POST", f"/servers/{server.id}/action", {action: args})

    async def act_twice(self) -> None:
        """Two things at once: at most one begins."""
        server = self._any("server")
        if server is not None:
            chosen = self.chance.sample(SERVER_ACTIONS, 2)
            path = f"/servers/{server.id}/action"
            await asyncio.gather(*(self.ask("compute", "POST", path, {action: args}) for action, args in chosen))

    async def rebuild(self) -> None:
        server = self._any("server")
        if server is not None:
            body = {"rebuild": {"imageRef": self.ids["image"]}}
            await self.ask("compute", "POST", f"/servers/{server.id}/action", body)

    async def describe(self) -> None:
        server = self._any("server")
        if server is not None:
            metadata = self.chance.choice(REHEARSALS) or {"colour": "red"}
            await self.ask("compute", "POST", f"/servers/{server.id}/metadata", {"metadata": metadata})

    async def attach_interface(self) -> None:
        server = self._any("server")
        if server is not None:
            body = {"interfaceAttachment": {"net_id": self.ids[f"{self.project} net"]}}
            await self.ask("compute", "POST", f"/servers/{server.id}/os-interface", body)

    async def detach_interface(self) -> None:
        server = self._any("server")
        if server is None:
            return
        answer = await self.ask("compute", "GET", f"/servers/{server.id}/os-interface")
        if answer.status == 200 and answer.json()["interfaceAttachments"]:
            port = self.chance.choice(answer.json()["interfaceAttachments"])["port_id"]
            await self.ask("compute", "DELETE", f"/servers/{server.id}/os-interface/{port}")

    # -- volumes --------------------------------------------------------------------------------------------------
    async def create_volume(self) -> None:
        name = self._name("volume")
        volume: dict[str, Any] = {"name": name, "size": 1, "metadata": self.chance.choice(VOLUME_REHEARSALS)}
        if self.chance.random() < 0.3:
            volume["imageRef"] = self.ids["image"]
        body = {"volume": volume}
        await self._make(Thing("volume", name), "volume", "/volumes", body, lambda made: str(made["volume"]["id"]))

    async def delete_volume(self) -> None:
        volume = self._any("volume")
        if volume is not None:
            await self._remove(volume, "volume", f"/volumes/{volume.id}", "promised")

    async def extend_volume(self) -> None:
        volume = self._any("volume")
        if volume is not None:
            body = {"os-extend": {"new_size": self.chance.randrange(1, 6)}}
            await self.ask("volume", "POST", f"/volumes/{volume.id}/action", body)

    async def attach_volume(self) -> None:
        server, volume = self._any("server"), self._any("volume")
        if server is not None and volume is not None:
            body = {"volumeAttachment": {"volumeId": volume.id}}
            await self.ask("compute", "POST", f"/servers/{server.id}/os-volume_attachments", body)

    async def detach_volume(self) -> None:
        server = self._any("server")
        if server is None:
            return
        answer = await self.ask("compute", "GET", f"/servers/{server.id}/os-volume_attachments")
        if answer.status == 200 and answer.json()["volumeAttachments"]:
            volume = self.chance.choice(answer.json()["volumeAttachments"])["volumeId"]
            await self.ask("compute", "DELETE", f"/servers/{server.id}/os-volume_attachments/{volume}")

    # -- networks, keys -------------------------------------------------------------------------------------------
    async def create_network(self) -> None:
        name = self._name("network")
        made = await self._make(
            Thing("network", name), "network", "/networks", {"network": {"name": name}},
            lambda made: str(made["network"]["id"]),
        )  # fmt: skip
        if made.id:
            subnet = {"network_id": made.id, "ip_version": 4, "cidr": "192.168.7.0/29"}
            await self.ask("network", "POST", "/subnets", {"subnet": subnet})

    async def delete_network(self) -> None:
        network = self._any("network")
        if network is not None:
            await self._remove(network, "network", f"/networks/{network.id}", "done")

    async def create_port(self) -> None:
        name = self._name("port")
        network = self._any("network")
        network_id = network.id if network is not None else self.ids[f"{self.project} net"]
        body = {"port": {"name": name, "network_id": network_id}}
        await self._make(Thing("port", name), "network", "/ports", body, lambda made: str(made["port"]["id"]))

    async def delete_port(self) -> None:
        port = self._any("port")
        if port is not None:
            await self._remove(port, "network", f"/ports/{port.id}", "done")

    async def delete_port_of_server(self) -> None:
        """As clumsy users do; the server loses its interface."""
        server = self._any("server")
        if server is None:
            return
        answer = await self.ask("network", "GET", "/ports", query={"device_id": server.id})
        if answer.status == 200 and answer.json()["ports"]:
            port_id = self.chance.choice(answer.json()["ports"])["id"]
            for port in self.mine.alive("port"):
                if port.id == port_id:
                    port.gone = "asked"
            await self.ask("network", "DELETE", f"/ports/{port_id}")

    async def create_keypair(self) -> None:
        name = self._name("keypair")
        user_id = self.user.user_id
        body = {"keypair": {"name": name}}
        await self._make(Thing("keypair", name), "compute", "/os-keypairs", body, lambda made: f"{user_id}/{name}")

    async def delete_keypair(self) -> None:
        keypair = self._any("keypair")
        if keypair is not None:
            await self._remove(keypair, "compute", f"/os-keypairs/{keypair.name}", "done")

    # -- tokens and trespass --------------------------------------------------------------------------------------
    async def log_out(self) -> None:
        """The token in use ends; what was begun with it goes on."""
        old = self.user.token
        answer = await self.ask("identity", "DELETE", "/auth/tokens", headers={"x-subject-token": old})
        if answer.status == 204:
            self.ledger.revoked.append((old, asyncio.get_running_loop().time()))
            await self.user.login()

    async def try_revoked(self) -> None:
        now = asyncio.get_running_loop().time()
        for token in [token for token, since in self.ledger.revoked if now - since >= self.grace_s][-2:]:
            for service, path in (("compute", "/servers"), ("network", "/ports"), ("image", "/images")):
                answer = await self._with(token, service, path)
                if answer.status not in (401, 503):
                    raise Wrong(f"a revoked token was taken by {service}: {answer.status}")

    async def _with(self, token: str, service: str, path: str) -> Answer:
        visitor = User(self.user.world, "", "", "")
        visitor.token = token
        return await visitor.request(service, "GET", path)

    async def trespass(self) -> None:
        """What others have is not there for us."""
        stranger = self.chance.choice(self.strangers)
        for kind, service, path in (
            ("server", "compute", "/servers"), ("volume", "volume", "/volumes"), ("port", "network", "/ports"),
            ("network", "network", "/networks"),
        ):  # fmt: skip
            other = stranger._any(kind)
            if other is None:
                continue
            for method in ("GET", "DELETE"):
                answer = await self.ask(service, method, f"{path}/{other.id}")
                if answer.status not in (403, 404, 503):
                    raise Wrong(f"{self.user.name} may {method} {kind} {other.name}: {answer.status}")

    async def look_around(self) -> None:
        """Lists show what is ours and nothing else."""
        for service, path, key, owner in (
            ("compute", "/servers/detail", "servers", "tenant_id"), ("network", "/ports", "ports", "project_id"),
            ("volume", "/volumes/detail", "volumes", "os-vol-tenant-attr:tenant_id"),
        ):  # fmt: skip
            answer = await self.ask(service, "GET", path)
            if answer.status != 200:
                continue
            for item in answer.json()[key]:
                if item.get(owner, self.user.project_id) != self.user.project_id:
                    raise Wrong(f"{self.user.name} sees {key} of {item[owner]}")


DEEDS: dict[Callable[[Tenant], Awaitable[None]], int] = {
    Tenant.launch: 20, Tenant.delete_server: 9, Tenant.delete_server_twice: 2, Tenant.act: 14, Tenant.act_twice: 3,
    Tenant.rebuild: 3, Tenant.describe: 2, Tenant.attach_interface: 4, Tenant.detach_interface: 3,
    Tenant.create_volume: 8, Tenant.delete_volume: 4, Tenant.extend_volume: 2, Tenant.attach_volume: 6,
    Tenant.detach_volume: 4, Tenant.create_network: 2, Tenant.delete_network: 2, Tenant.create_port: 4,
    Tenant.delete_port: 3, Tenant.delete_port_of_server: 2, Tenant.create_keypair: 2, Tenant.delete_keypair: 1,
    Tenant.log_out: 2, Tenant.try_revoked: 2, Tenant.trespass: 2, Tenant.look_around: 2,
}  # fmt: skip
"""What tenants do, and how often."""
