"""Compute's API alone in a process: a real database, flows promised but never run, peers that know by heart."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from pileus.compute.api.policies import POLICIES
from pileus.compute.api.routes import API
from pileus.compute.domain.errors import UnknownNetwork, UnknownSecurityGroup, VolumeNotFound
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.network_request import NetworkRequest
from pileus.compute.domain.server import Address, Interface, Server, ServerId
from pileus.compute.domain.server_document import render
from pileus.compute.domain.server_states import PowerState, VmState
from pileus.compute.service import Compute, ComputeSettings, Endings
from pileus.compute.store import flavors, servers, services
from pileus.compute.store.tables import SCHEMA
from pileus.foundation.bus import Broker, Bus
from pileus.foundation.context import Caller, Context
from pileus.foundation.database import Database, Transaction
from pileus.foundation.errors import NotFound, Unauthorized
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.app import App
from pileus.foundation.http.client import Answer, InProcess, Peer
from pileus.foundation.liveness import Liveness
from pileus.foundation.policy import Policy
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from tests.own_token import FixedToken

ADMIN_ROLES = frozenset({"admin", "manager", "member", "reader"})
MEMBER_ROLES = frozenset({"member", "reader"})
ALICE, MALLORY, ROOT = "a11ce000000000000000000000000000", "bad00000000000000000000000000000", "f00d" * 8
CALLERS = {
    "admin": Caller(user_id="u-admin", project_id=ROOT, roles=ADMIN_ROLES),
    "alice": Caller(user_id="u-alice", project_id=ALICE, roles=MEMBER_ROLES),
    "reader": Caller(user_id="u-reader", project_id=ALICE, roles=frozenset({"reader"})),
    "mallory": Caller(user_id="u-mallory", project_id=MALLORY, roles=MEMBER_ROLES),
    "nobody": Caller(user_id="u-nobody"),
    "nova": Caller(user_id="u-nova", project_id="5e" * 16, roles=frozenset({"service"})),
}
TINY = Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=64, disk_gib=1)
CIRROS = "8460d637-4eb9-48a0-82e9-1bc89d5c0448"
NETWORK = "e3200c4f-ea86-42f9-9c12-fe5217031268"
NOW = 1_767_323_045_000_000  # 2026-01-02T03:04:05Z


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


class KnownTokens:
    """Takes the names of `CALLERS` as tokens."""

    async def authenticate(self, headers: Mapping[str, str], context: Context) -> Caller:
        caller = CALLERS.get(headers.get("x-auth-token", ""))
        if caller is None:
            raise Unauthorized()
        return caller


@dataclass
class FakeImages:
    """Knows some images."""

    known: dict[str, Image] = field(
        default_factory=lambda: {CIRROS: Image(id=CIRROS, name="cirros", size_bytes=1 << 20)}
    )
    created: list[dict[str, Any]] = field(default_factory=list)

    async def get(self, image_id: str, authority: Any, **options: Any) -> Image:
        if image_id not in self.known:
            raise NotFound()
        return self.known[image_id]

    async def create(self, document: dict[str, Any], authority: Any) -> str:
        self.created.append(document)
        return uuid(900 + len(self.created))

    async def delete(self, image_id: str, authority: Any) -> None:
        self.created.clear()


@dataclass
class FakeNetworks:
    """Takes every network but those in `missing`; keeps ports and groups as the network service shows them."""

    ports: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    async def resolve(self, request: NetworkRequest, project_id: str, authority: Any, **options: Any) -> NetworkRequest:
        for nic in request.nics:
            if nic.network_id in self.missing:
                raise UnknownNetwork(network_id=nic.network_id)
        return request

    async def interfaces(self, server_id: str, authority: Any) -> list[Any]:
        return [port for port in self.ports if port["device_id"] == server_id]

    async def security_groups(self, group_ids: Any, authority: Any) -> list[Any]:
        return [group for group in self.groups if group["id"] in group_ids]

    async def security_group_ids(self, names: Any, project_id: str, authority: Any) -> list[str]:
        found = [group["id"] for name in names for group in self.groups if name in (group["id"], group["name"])]
        if len(found) != len(names):
            raise UnknownSecurityGroup(name=names[0], project_id=project_id)
        return found

    async def security_group_names(self, names: Any, project_id: str, authority: Any) -> list[str]:
        ids = await self.security_group_ids(names, project_id, authority)
        return [group["name"] for wanted in ids for group in self.groups if group["id"] == wanted]

    async def set_port_groups(self, port_id: str, group_ids: Any, authority: Any) -> None:
        next(port for port in self.ports if port["id"] == port_id)["security_groups"] = list(group_ids)


@dataclass
class FakeVolumes:
    """Volumes by id."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def get(self, volume_id: str, authority: Any, **options: Any) -> Any:
        if volume_id not in self.known:
            raise VolumeNotFound(volume_id=volume_id)
        return self.known[volume_id]


@dataclass
class FakePlacement:
    """Remembers which providers were removed."""

    removed: list[str] = field(default_factory=list)

    async def remove_provider(self, provider: str) -> None:
        self.removed.append(provider)


@dataclass
class Cloud:
    """One compute service, and a way to ask it."""

    compute: Compute
    app: App
    peer: Peer
    images: FakeImages
    networks: FakeNetworks
    volumes: FakeVolumes
    placement: FakePlacement

    async def ask(
        self, method: str, path: str, body: Any = None, *, version: str = "2.1", token: str = "alice", **headers: str
    ) -> Answer:
        sent = {"openstack-api-version": f"compute {version}"} | headers if version else dict(headers)
        return await self.peer.request(method, f"/v2.1{path}", body=body, token=token, headers=sent)

    async def get(self, path: str, **options: Any) -> Any:
        """The document at a path, which must be there."""
        found = await self.ask("GET", path, **options)
        assert found.status == 200, (found.status, found.body)
        return found.json()

    async def act(self, server: Server, action: str, args: Any = None, **options: Any) -> Answer:
        return await self.ask("POST", f"/servers/{server.id}/action", {action: args}, **options)

    async def transact(self, work: Any) -> Any:
        return await self.compute.database.transact(work)

    async def flavor(self, **facts: Any) -> Flavor:
        made = replace(TINY, created_at=NOW, **facts)
        await self.transact(lambda tx: flavors.insert(tx, made))
        return made

    async def host(self, name: str = "compute1", *, zone: str = "nova", **inventory: Any) -> services.Service:
        """A hypervisor host that has just reported itself."""
        facts = {"hostname": name, "vcpus": 8, "ram_mib": 16000, "disk_gib": 100, "disk_free_gib": 90,
                 "hypervisor_type": "fake", "hypervisor_version": 1000, "uptime_s": 183_900,
                 "cpu": {"arch": "x86_64", "model": "Nehalem", "vendor": "Intel", "features": ["pge"],
                         "sockets": 1, "cores": 4, "threads": 1}}  # fmt: skip
        return await self.transact(
            lambda tx: services.report(
                tx,
                name,
                new_id=self.compute.runtime.uuid(),
                zone=zone,
                version="1",
                roles=(),
                inventory=facts | inventory,
                now=NOW,
            )
        )

    async def server(self, number: int = 1, **facts: Any) -> Server:
        """A server in the database, at rest on a host unless the facts say otherwise."""
        before = a_server(number, **{name: facts[name] for name in ("project_id", "user_id") if name in facts})

        async def work(tx: Transaction) -> Server:
            await servers.insert(tx, before)
            return await servers.save(tx, replace(before, generation=1), replace(before, **facts), render)

        return await self.transact(work)


def a_server(number: int = 1, **facts: Any) -> Server:
    """A server at rest, active on a host."""
    server = Server(
        id=ServerId(uuid(number)),
        number=number,
        name=f"web{number}",
        hostname=f"web{number}",
        project_id=ALICE,
        user_id="u-alice",
        flavor=TINY,
        image=Image(id=CIRROS, name="cirros"),
        vm_state=VmState.ACTIVE,
        task_state=None,
        power_state=PowerState.RUNNING,
        action=None,
        began_in=None,
        host="compute1",
        node="compute1",
        availability_zone="nova",
        interfaces=(
            Interface(
                port_id=uuid(500 + number),
                network_id=NETWORK,
                network_name="net1",
                mac="fa:16:3e:b8:b2:c7",
                addresses=(Address(f"10.0.0.{number}"), Address(f"fd00::{number}")),
            ),
        ),
        security_groups=("default",),
        root_device_name="/dev/vda",
        reservation_id=f"r-{number:08d}",
        launched_at=NOW,
        created_at=NOW + number * 1_000_000,
        updated_at=NOW + number * 1_000_000,
    )
    return replace(server, **facts)


async def start(database: Database, runtime: Runtime, *, is_second: bool = False) -> Cloud:
    """Compute on an empty database with one flavor; the second process on it finds that there."""
    await database.migrate(SCHEMA)
    bus = Bus(Broker(), runtime)
    journal = SqlJournal("compute", database, runtime, lambda ended: None)
    images, networks, volumes, placement = FakeImages(), FakeNetworks(), FakeVolumes(), FakePlacement()

    compute = Compute(
        database=database,
        runtime=runtime,
        bus=bus,
        journal=journal,
        runner=Runner(journal, (), None, runtime),
        endings=Endings(),
        liveness=Liveness(60.0),
        images=images,  # type: ignore[arg-type]
        networks=networks,  # type: ignore[arg-type]
        volumes=volumes,  # type: ignore[arg-type]
        placement=placement,  # type: ignore[arg-type]
        sealer=Sealer(b"k" * 32, runtime),
        settings=ComputeSettings(),
        service_token=FixedToken("nova"),
        render=render,
    )
    app = App(
        API, compute, runtime=runtime, policy=Policy(POLICIES), authenticator=KnownTokens(), durable=database.durable
    )
    peer = Peer("compute", InProcess(app, runtime), runtime)
    cloud = Cloud(compute, app, peer, images, networks, volumes, placement)
    if not is_second:
        await cloud.flavor()
    return cloud
