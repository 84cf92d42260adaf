"""The one file that knows every service: settings in, a whole cloud in one process out.

It builds and hands in; it decides nothing. The order of `start` is the order of dependence: identity first, hosts last.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from pileus import __version__, running, secrets_file
from pileus.compute.api.policies import POLICIES as COMPUTE_POLICIES
from pileus.compute.api.routes import API as COMPUTE_API
from pileus.compute.app.addresses import keep_addresses
from pileus.compute.app.conductor import Conductor
from pileus.compute.app.housekeeping import keep_house
from pileus.compute.app.power import keep_looking
from pileus.compute.app.scheduler import Scheduler
from pileus.compute.domain.liveness import Liveness
from pileus.compute.domain.server_document import render
from pileus.compute.flows.act_on_server import ACT_ON_SERVER
from pileus.compute.flows.attach_volume import ATTACH_VOLUME
from pileus.compute.flows.change_interface import ATTACH_INTERFACE, DETACH_INTERFACE
from pileus.compute.flows.delete_server import DELETE_SERVER
from pileus.compute.flows.detach_volume import DETACH_VOLUME
from pileus.compute.flows.launch_server import LAUNCH_SERVER
from pileus.compute.host.agent import Agent
from pileus.compute.host.guest_documents import GuestDocuments
from pileus.compute.host.image_cache import ImageCache
from pileus.compute.host.services import HostServices
from pileus.compute.peers.authority import Authority
from pileus.compute.peers.conductor import Conductor as ConductorPeer
from pileus.compute.peers.image import Images
from pileus.compute.peers.network import Networks
from pileus.compute.peers.placement import Placement as PlacementPeer
from pileus.compute.peers.volume import Volumes
from pileus.compute.service import Compute, ComputeSettings, Endings, announcer, listen
from pileus.compute.store.tables import SCHEMA as COMPUTE_SCHEMA
from pileus.foundation.bus import Broker, Bus
from pileus.foundation.database import SqliteDatabase
from pileus.foundation.drivers import load_driver
from pileus.foundation.flow import Runner
from pileus.foundation.flow.journal import SqlJournal
from pileus.foundation.http.app import Api, App, Authenticator, Receive, Scope, Send
from pileus.foundation.http.authentication import ServiceLogin, TokenValidator
from pileus.foundation.http.client import InProcess, Peer
from pileus.foundation.http.front import Front
from pileus.foundation.http.server import Listener, bind_file, bind_tcp
from pileus.foundation.http.server import listen as listen_on
from pileus.foundation.metrics import Metrics
from pileus.foundation.policy import Policy, RuleDefault
from pileus.foundation.revocation import Epoch
from pileus.foundation.runtime import Runtime
from pileus.foundation.sealing import Sealer
from pileus.identity.api.policy import RULES as IDENTITY_POLICIES
from pileus.identity.api.routes import API as IDENTITY_API
from pileus.identity.app import service as identity_service
from pileus.identity.app.bootstrap import CatalogEntry, Plan, bootstrap
from pileus.identity.app.issued import serve_issued
from pileus.identity.app.sessions import LocalAuthenticator, end_everything
from pileus.identity.app.settings import Settings as IdentitySettings
from pileus.identity.domain.passwords import Cost
from pileus.identity.domain.token import Keyring
from pileus.identity.store.tables import SCHEMA as IDENTITY_SCHEMA
from pileus.image.api.policy import RULES as IMAGE_POLICIES
from pileus.image.api.routes import API as IMAGE_API
from pileus.image.app import starting as image_service
from pileus.image.drivers.file import FileStore
from pileus.image.service import ImageSettings
from pileus.image.store.tables import SCHEMA as IMAGE_SCHEMA
from pileus.network.api.policies import POLICIES as NETWORK_POLICIES
from pileus.network.api.routes import API as NETWORK_API
from pileus.network.app import bus as network_bus
from pileus.network.app.service import network_service
from pileus.network.host.agent import NetworkHost
from pileus.network.host.messages import Messages
from pileus.network.host.metadata import MetadataService
from pileus.network.peers.servers import RestServers as NewsForServers
from pileus.network.peers.service import BusNetworkService
from pileus.network.store.tables import SCHEMA as NETWORK_SCHEMA
from pileus.operations.api.control import OwnerAuthenticator
from pileus.operations.api.root import ROOT_API, RootService
from pileus.operations.api.routes import API as OPERATIONS_API
from pileus.operations.api.routes import POLICIES as OPERATIONS_POLICIES
from pileus.operations.service import Operations
from pileus.placement.api.policies import POLICIES as PLACEMENT_POLICIES
from pileus.placement.api.routes import API as PLACEMENT_API
from pileus.placement.app import operators as placement_operators
from pileus.placement.service import Placement
from pileus.placement.store.tables import SCHEMA as PLACEMENT_SCHEMA
from pileus.settings import CloudSettings
from pileus.volume.api.policies import POLICIES as VOLUME_POLICIES
from pileus.volume.api.routes import API as VOLUME_API
from pileus.volume.app import assembly
from pileus.volume.host.agent import Agent as VolumeAgent
from pileus.volume.host.services import HostServices as VolumeHostServices
from pileus.volume.peers.image import Images as VolumeImages
from pileus.volume.peers.server import RestServers
from pileus.volume.service import VolumeSettings
from pileus.volume.store.tables import SCHEMA as VOLUME_SCHEMA

CATALOG = (
    CatalogEntry(type="identity", name="keystone", url="/identity/v3"),
    CatalogEntry(type="compute", name="nova", url="/compute/v2.1"),
    CatalogEntry(type="image", name="glance", url="/image"),
    CatalogEntry(type="network", name="neutron", url="/networking"),
    CatalogEntry(type="block-storage", name="cinder", url="/volume/v3/$(project_id)s"),
    CatalogEntry(type="volumev3", name="cinderv3", url="/volume/v3/$(project_id)s"),
    CatalogEntry(type="placement", name="placement", url="/placement"),
    CatalogEntry(type="pileus", name="pileus", url="/pileus/v1"),
)
ACCOUNTS = {
    "compute": ("admin", "service"),
    "network": ("admin", "service"),
    "volume": ("admin", "service"),
    "image": ("admin", "service"),
    "placement": ("service",),
    "pileus": ("service",),
}
SCHEMAS = (IDENTITY_SCHEMA, IMAGE_SCHEMA, PLACEMENT_SCHEMA, NETWORK_SCHEMA, VOLUME_SCHEMA, COMPUTE_SCHEMA)
COMPUTE_FLOWS = (
    LAUNCH_SERVER,
    DELETE_SERVER,
    ACT_ON_SERVER,
    ATTACH_VOLUME,
    DETACH_VOLUME,
    ATTACH_INTERFACE,
    DETACH_INTERFACE,
)


_KINDS = {  # a path's first segment -> the part's name
    "identity": "identity",
    "compute": "compute",
    "image": "image",
    "networking": "network",
    "volume": "volume",
    "placement": "placement",
}
_BACKENDS = {"fake": "fake", "libvirt": "file"}
_WIRES = {"fake": "fake", "libvirt": "linux"}
_OWNERS = {  # the bus topics that answer operators
    "compute": "conductor",
    "volume": "volume-conductor",
    "image": "image",
    "placement": "placement",
}
_SOURCES = {"compute": "compute-api"}


class Cloud:
    """All parts in one process: SQLite, the bus in memory, one port."""

    def __init__(self, settings: CloudSettings, runtime: Runtime, *, broker: Broker | None = None):
        self.settings = settings
        self.runtime = runtime
        self.url = settings.public_url or f"http://{settings.address}:{settings.port}"
        self.metrics = Metrics()
        self.epoch = Epoch()
        self.broker = broker or Broker()
        self.bus = Bus(self.broker, runtime)
        self.database = SqliteDatabase(settings.state_dir / "pileus.db", runtime)
        self.agents: list[Agent] = []
        self._apps: dict[str, App] = {}
        self._listeners: list[Listener] = []
        self._closers: list[Callable[[], Any]] = []

    # -- life ---------------------------------------------------------------------------------------------
    async def start(self, *, listening: bool = True) -> None:
        """Bring everything up; when it returns, the cloud answers. Raises: what is missing, with its mend."""
        settings = self.settings
        socket_ = bind_tcp(settings.address, settings.port) if listening else None
        self.secrets = secrets_file.load(settings.state_dir, self.runtime)
        await self._identity()
        self._image()
        self._placement()
        self._network()
        self._volume()
        self._compute()
        self._operations()
        await self._tables()
        await self._begin()
        self.front = Front(self._apps, self._root(shows_metrics=settings.address in ("127.0.0.1", "::1", "localhost")))
        if socket_ is not None:
            await self._listen(socket_)

    async def _listen(self, socket_: Any) -> None:
        settings = self.settings
        facts = running.Facts(
            url=self.url, region=settings.region, hypervisor=settings.hypervisor, address=settings.address,
            port=settings.port, public_url=settings.public_url, hosts=settings.hosts, host_name=self._base_name,
            hypervisor_options=settings.hypervisor_options,
        )  # fmt: skip
        running.remember(settings.state_dir, facts)
        self._listeners.append(await listen_on(self.front, socket_, self.runtime))
        control = Front(
            {"pileus": self._app(OPERATIONS_API, self.operations, OPERATIONS_POLICIES, OwnerAuthenticator())},
            self._root(shows_metrics=True),
        )
        self._listeners.append(
            await listen_on(control, bind_file(self.settings.state_dir / running.SOCKET), self.runtime)
        )

    async def stop(self) -> None:
        """Answer what is under way, leave guests as they are, and make everything durable."""
        for listener in reversed(self._listeners):
            await listener.stop()
        await self.runtime.quiesce()  # flows stop where they are and go on in the next life; no driver fails under them
        for agent in self.agents:
            await agent.stop()
        for close in reversed(self._closers):
            await close()
        self.bus.close()
        await self.runtime.quiesce()
        await self.database.close()
        (self.settings.state_dir / running.SOCKET).unlink(missing_ok=True)

    # -- what every service gets --------------------------------------------------------------------------
    def _app(self, api: Api, service: Any, policies: tuple[RuleDefault, ...], authenticator: Authenticator) -> App:
        policy = Policy(policies)
        policy.require({route.policy for route in api.routes if route.policy})
        return App(
            api, service, runtime=self.runtime, policy=policy, authenticator=authenticator,
            durable=self.database.durable, observe=self.metrics.observe,
        )  # fmt: skip

    def _peer(self, name: str, source: str) -> Peer:
        """The service behind path `name`, as part `source` sees it."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._apps[name](scope, receive, send)

        return Peer(_KINDS[name], InProcess(app, self.runtime), self.runtime, source=source)

    def _login(self, account: str) -> ServiceLogin:
        return ServiceLogin(
            self._peer("identity", account), self.runtime, user=account, password=self.secrets.accounts[account]
        )

    def _validator(self, account: str) -> TokenValidator:
        """Each service validates with identity by itself and has a cache of its own."""
        return TokenValidator(
            _SOURCES.get(account, account), self._peer("identity", account), self._login(account), self.epoch,
            self.runtime, caching=self.settings.caching,
        )  # fmt: skip

    def _root(self, *, shows_metrics: bool) -> App:
        endpoints = {entry.type: entry.url.split("$")[0] for entry in CATALOG}
        service = RootService(__version__, endpoints, self.metrics.page, shows_metrics)
        return self._app(ROOT_API, service, (), OwnerAuthenticator())

    # -- the services, in the order in which they need each other -----------------------------------------
    async def _identity(self) -> None:
        settings = self.settings
        keys = {int(number): key for number, key in self.secrets.token_keys.items()}
        self.identity = identity = identity_service.build(
            self.database, self.runtime, Keyring(keys, max(keys)), self.epoch,
            IdentitySettings(cloud_url=settings.public_url, password_cost=Cost(**settings.password_cost)),
            Sealer(self.secrets.sealing_key, self.runtime),
        )  # fmt: skip
        await identity_service.start(identity)
        self._closers.append(partial(identity_service.stop, identity))
        plan = Plan(
            admin_password=self.secrets.admin_password, region=settings.region, catalog=CATALOG, accounts=ACCOUNTS,
            keys=self.secrets.accounts,
        )  # fmt: skip
        accounts = await bootstrap(identity, plan)
        if accounts != self.secrets.accounts:
            self.secrets.accounts = accounts
            secrets_file.save(settings.state_dir, self.secrets)
        restored = settings.state_dir / running.RESTORED
        if restored.exists():  # what happened after the backup is forgotten: tokens that ended then must not come back
            await end_everything(identity)
            await self.database.durable()
            restored.unlink()
        self._apps["identity"] = self._app(IDENTITY_API, identity, IDENTITY_POLICIES, LocalAuthenticator(identity))
        serve_issued(identity, self.bus)

    def _image(self) -> None:
        store = FileStore(self.settings.state_dir / "images", self.runtime)
        self.images = image_service.build(
            self.database, store, self.runtime, ImageSettings(), lease_s=self.settings.lease_s
        )
        self._apps["image"] = self._app(IMAGE_API, self.images, IMAGE_POLICIES, self._validator("image"))

    def _placement(self) -> None:
        service = Placement(self.database, self.runtime)
        placement_operators.serve(service, self.bus)
        self._apps["placement"] = self._app(PLACEMENT_API, service, PLACEMENT_POLICIES, self._validator("placement"))

    def _network(self) -> None:
        servers = NewsForServers(self._peer("compute", "network"), self._login("network"))
        self.network = network_service(self.database, self.runtime, self.bus, servers=servers)
        network_bus.serve(self.network)
        self._apps["networking"] = self._app(NETWORK_API, self.network, NETWORK_POLICIES, self._validator("network"))

    def _volume(self) -> None:
        token = self._login("volume")
        self.volume = assembly.assemble(
            database=self.database,
            runtime=self.runtime,
            bus=self.bus,
            images=VolumeImages(self._peer("image", "volume")),
            servers=RestServers(self._peer("compute", "volume")),
            sealer=Sealer(self.secrets.sealing_key, self.runtime),
            service_token=token,
            settings=VolumeSettings(zone=self.settings.zone, backends=(_BACKENDS[self.settings.hypervisor],)),
            lease_s=self.settings.lease_s,
        )
        self._apps["volume"] = self._app(VOLUME_API, self.volume, VOLUME_POLICIES, self._validator("volume"))

    def _compute(self) -> None:
        settings = self.settings
        token = self._login("compute")
        endings = Endings()
        listen(self.bus, endings)
        journal = SqlJournal("compute", self.database, self.runtime, announcer(self.bus))
        runner = Runner(journal, COMPUTE_FLOWS, None, self.runtime, lease_s=settings.lease_s)
        compute_settings = ComputeSettings(default_zone=settings.zone, heartbeat_s=settings.heartbeat_s)
        self.compute = Compute(
            database=self.database,
            runtime=self.runtime,
            bus=self.bus,
            journal=journal,
            runner=runner,
            endings=endings,
            liveness=Liveness(compute_settings.host_down_s),
            images=Images(self._peer("image", "compute-api")),
            networks=Networks(self._peer("networking", "compute-api")),
            volumes=Volumes(self._peer("volume", "compute-api")),
            placement=PlacementPeer(self._peer("placement", "scheduler"), Authority(token)),
            sealer=Sealer(self.secrets.sealing_key, self.runtime),
            settings=compute_settings,
            service_token=token,
            render=render,
        )
        runner.services = self.compute
        self._apps["compute"] = self._app(COMPUTE_API, self.compute, COMPUTE_POLICIES, self._validator("compute"))

    def _operations(self) -> None:
        self.operations = Operations(
            bus=self.bus,
            runtime=self.runtime,
            version=__version__,
            region=self.settings.region,
            owners=_OWNERS,
            started_at=self.runtime.now(),
            describe=self._describe,
        )
        self._apps["pileus"] = self._app(
            OPERATIONS_API, self.operations, OPERATIONS_POLICIES, self._validator("pileus")
        )

    def _describe(self) -> dict[str, Any]:
        parts = [{"name": name, "state": "up"} for name in (*self._apps, "scheduler", "conductor")]
        return {"url": self.url, "parts": parts, "queues": self.broker.depth()}

    # -- what begins once all are there -------------------------------------------------------------------
    async def _tables(self) -> None:
        for schema in SCHEMAS:
            await self.database.migrate(schema)

    async def _begin(self) -> None:
        """Conductor and scheduler first, then the hosts, then what an earlier life left unfinished."""
        Conductor(self.compute).serve()
        Scheduler(self.compute).serve()
        await image_service.start(self.images, self.bus)
        await self._volume_host()
        await assembly.start(self.volume)
        for number in range(self.settings.hosts):
            await self._host(self._host_name(number))
        await self.compute.runner.recover()
        self.runtime.spawn(self.compute.runner.keep(), "leases of conductor")
        self.runtime.spawn(keep_looking(self.compute), "power of servers")
        self.runtime.spawn(keep_house(self.compute), "housekeeping of compute")
        self.runtime.spawn(keep_addresses(self.compute), "addresses of servers")

    async def _volume_host(self) -> None:
        """The volume-host of the one back end that an embedded cloud has."""
        name = _BACKENDS[self.settings.hypervisor]
        state_dir = self.settings.state_dir / "volumes"
        state_dir.mkdir(mode=0o711, exist_ok=True)
        backend = load_driver("volume_backends", name)(state_dir, self.runtime)
        services = VolumeHostServices(
            name=name, host=self._host_name(0), runtime=self.runtime, bus=self.bus, backend=backend,
            images=VolumeImages(self._peer("image", "volume-host")), service_token=self._login("volume"),
        )  # fmt: skip
        agent = VolumeAgent(services, heartbeat_s=self.settings.heartbeat_s)
        await agent.start()
        self._closers.append(agent.stop)

    @property
    def _base_name(self) -> str:
        return self.settings.host_name or os.uname().nodename

    def _host_name(self, number: int) -> str:
        """A real machine is one host; of fake ones there may be more tomorrow."""
        return f"{self._base_name}-{number + 1}" if self.settings.hypervisor == "fake" else self._base_name

    async def _host(self, name: str) -> None:
        host = Host(name, self.settings, self.runtime, self.bus, self._peer, self._login)
        await host.start()
        self._closers.append(host.network.stop)
        self.agents.append(host.agent)


class Host:
    """One hypervisor host: its wires, its guests. It has a bus and peers, wherever they are, and no database.

    `peer(path, source)` is the service behind a path as part `source` sees it; `login` the token of a service account.
    """

    def __init__(
        self,
        name: str,
        settings: CloudSettings,
        runtime: Runtime,
        bus: Bus,
        peer: Callable[[str, str], Peer],
        login: Callable[[str], ServiceLogin],
    ):
        self._settings = settings
        self._name, self._runtime, self._bus, self._peer = name, runtime, bus, peer
        self._state_dir = settings.state_dir / "hosts" / name
        self._networks = Networks(peer("networking", "compute-host"))
        self._conductor = ConductorPeer(bus, name)
        self._token = login("compute")
        self._documents = GuestDocuments(self._networks, self._conductor, self._token, runtime)

    async def start(self) -> None:
        """When it returns, this host takes launches."""
        self._state_dir.mkdir(parents=True, exist_ok=True)
        service = BusNetworkService(self._bus)
        wires = self._driver("network_backends", _WIRES[self._settings.hypervisor], {})
        metadata = MetadataService(self._runtime, self._documents)
        self.network = NetworkHost(self._name, wires, service, metadata)
        await Messages(self._name, self.network, service, self._runtime, self._bus).start()
        settings = self._settings
        self.agent = Agent(self._services(), lease_s=settings.lease_s, heartbeat_s=settings.heartbeat_s)
        await self.agent.start()

    async def stop(self) -> None:
        """Let go; guests and their networks go on."""
        await self.agent.stop()
        await self.network.stop()

    def _driver(self, kind: str, name: str, options: dict[str, object]) -> Any:
        return load_driver(kind, name)(self._runtime, hostname=self._name, state_dir=self._state_dir, options=options)

    def _services(self) -> HostServices:
        settings = self._settings
        images = Images(self._peer("image", "compute-host"))
        return HostServices(
            host=self._name,
            zone=settings.zone,
            state_dir=self._state_dir,
            runtime=self._runtime,
            bus=self._bus,
            hypervisor=self._driver("hypervisors", settings.hypervisor, settings.hypervisor_options),
            conductor=self._conductor,
            images=images,
            networks=self._networks,
            volumes=Volumes(self._peer("volume", "compute-host")),
            cache=ImageCache(settings.state_dir / "base-images", images, self._runtime),
            service_token=self._token,
            documents=self._documents,
        )
