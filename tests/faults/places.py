"""Where in the cloud faults happen, and which: data only.

A place is a part and the seams of its process that lead there (`Runtime.reached`: a point, and what its facts contain).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pileus.compute.flows.act_on_server import ACT_ON_SERVER
from pileus.compute.flows.attach_volume import ATTACH_VOLUME
from pileus.compute.flows.delete_server import DELETE_SERVER
from pileus.foundation.flow import Flow

REST, BUS, SQL, DRIVER = "REST", "bus", "SQL", "driver"

FAULTS = {
    "kill": "the acting process is killed (kill -9) and started again",
    "stop": "the acting process is stopped for three leases and a half, then continued",
    "broker": "the broker is killed and started again",
    "wipe": "the broker is killed and comes back without a queue, an exchange or a message",
    "database": "the database crashes and is started again",
    "cut": "the network between the two parties is cut for two leases",
    "double": "the message arrives twice",
    "drop": "the message is lost",
}

ONCE = "what is on a connection arrives once and in order; a connection that breaks is 'cut'"
NOT_APPLICABLE: dict[tuple[str, str], str] = {
    **{(kind, fault): ONCE for kind in (REST, SQL) for fault in ("double", "drop")},
    **{(DRIVER, fault): "host and hypervisor are one machine" for fault in ("cut", "double", "drop")},
}
"""What cannot happen to a kind of step, and why."""
NO_MESSAGE = "before the 202 nothing is on the bus"


@dataclass(frozen=True)
class Place:
    part: str
    seams: tuple[tuple[str, ...], ...]


def at(part: str, *seams: tuple[str, ...]) -> Place:
    return Place(part, seams)


@dataclass(frozen=True)
class Step:
    """Something that one party does: where its process is then, and between whom it happens.

    `link` is the part whose way to `to` is cut: a path, the bus or the database. `message` is where what it sends or
    takes may be lost or doubled.
    """

    name: str
    what: str
    kind: str
    place: Place
    link: str = ""
    to: str = ""
    message: Place | None = None
    is_promised: bool = True  # whether the 202 was answered before

    def reason(self, fault: str) -> str:
        """Why this fault does not apply; '' when it does."""
        if fault in ("broker", "wipe") and not self.is_promised:
            return NO_MESSAGE
        return NOT_APPLICABLE.get((self.kind, fault), "")


_SERVERS = ("compute", "POST", "/servers")
_IMAGE = ("answer.before", "image", "GET", "/v2/images/")  # of step 6: compute-api has looked at it
_VALIDATES = ("peer.before", "identity", "GET", "/v3/auth/tokens")
_PORTS = ("network", "POST", "/v2.0/ports")
_ATTACHMENTS = ("volume", "POST", "/v3/attachments")
_SELECT = ("scheduler", "select_host")
_DATA = ("conductor", "server.data")
_LAUNCH = ("compute-host", "launch")
_TOKENS = ("identity", "POST", "/v3/auth/tokens")


def _before(name: str, what: str, kind: str, place: Place, link: str, to: str) -> Step:
    return Step(name, what, kind, place, link, to, is_promised=False)


LAUNCH: tuple[Step, ...] = (
    _before("1", "client -> identity: credentials", REST, at("identity", ("request.before", *_TOKENS)),
            "client", "identity"),
    _before("2", "identity -> client: token", REST, at("identity", ("answer.before", *_TOKENS)), "client", "identity"),
    _before("3", "client -> compute-api: POST /servers", REST, at("compute-api", ("request.before", *_SERVERS)),
            "client", "compute"),
    _before("4", "compute-api -> identity: is this token valid", REST,
            at("compute-api", ("request.before", *_SERVERS), _VALIDATES), "compute-api", "identity"),
    _before("5", "identity -> compute-api: user, project, roles", REST,
            at("identity", ("answer.before", "identity", "GET", "/v3/auth/tokens", "compute")),
            "compute-api", "identity"),
    _before("6", "compute-api -> database: quota, flavor, image, network", SQL,
            at("compute-api", ("read.before", "FROM compute_flavors")), "compute-api", "database"),
    _before("6a", "compute-api -> image", REST, at("compute-api", ("peer.before", "image", "GET")),
            "compute-api", "image"),
    _before("6b", "compute-api -> network", REST, at("compute-api", ("peer.before", "network", "GET")),
            "compute-api", "networking"),
    _before("6c", "compute-api -> volume", REST, at("compute-api", ("peer.before", "volume", "GET")),
            "compute-api", "volume"),
    _before("7", "database -> compute-api: row and flow, before the commit", SQL,
            at("compute-api", ("write.before", "INSERT INTO compute_servers"), ("commit.before",)),
            "compute-api", "database"),
    _before("7+", "database -> compute-api: row and flow, after the commit", SQL,
            at("compute-api", ("write.before", "INSERT INTO compute_servers"), ("commit.after",)),
            "compute-api", "database"),
    Step("8", "compute-api -> bus: call select_host", BUS, at("compute-api", ("call.before", *_SELECT)),
         "compute-api", "bus", at("compute-api", ("call.before", *_SELECT))),
    Step("9", "bus -> scheduler", BUS, at("scheduler", ("handle.before", *_SELECT)), "scheduler", "bus",
         at("scheduler", ("take.before", *_SELECT))),
    Step("10", "scheduler <-> database: filter, weigh", SQL,
         at("scheduler", ("handle.before", *_SELECT), ("read.before", "FROM compute_servers")),
         "scheduler", "database"),
    Step("10a", "scheduler -> placement: claim", REST,
         at("scheduler", ("peer.before", "placement", "PUT", "/allocations/")), "scheduler", "placement"),
    Step("10a+", "placement -> scheduler: claimed", REST,
         at("placement", ("answer.before", "placement", "PUT", "/allocations/")), "scheduler", "placement"),
    Step("11", "database -> scheduler: the row names the host, before the commit", SQL,
         at("scheduler", ("write.before", "UPDATE compute_servers"), ("commit.before",)), "scheduler", "database"),
    Step("11+", "database -> scheduler: the row names the host, after the commit", SQL,
         at("scheduler", ("write.before", "UPDATE compute_servers"), ("commit.after",)), "scheduler", "database"),
    Step("12", "scheduler -> bus: cast launch", BUS, at("scheduler", ("cast.before", *_LAUNCH)), "scheduler", "bus",
         at("scheduler", ("cast.before", *_LAUNCH))),
    Step("12+", "scheduler -> bus -> compute-api: the answer of select_host", BUS,
         at("scheduler", ("reply.before", *_SELECT)), "compute-api", "bus",
         at("scheduler", ("reply.before", *_SELECT))),
    Step("13", "bus -> compute-host", BUS, at("compute-host", ("handle.before", *_LAUNCH)), "compute-host", "bus",
         at("compute-host", ("take.before", *_LAUNCH))),
    Step("14", "compute-host -> bus: call server.data", BUS, at("compute-host", ("call.before", *_DATA)),
         "compute-host", "bus", at("compute-host", ("call.before", *_DATA))),
    Step("15", "bus -> conductor", BUS, at("conductor", ("handle.before", *_DATA)), "conductor", "bus",
         at("conductor", ("take.before", *_DATA))),
    Step("16", "conductor -> database: reads", SQL,
         at("conductor", ("handle.before", *_DATA), ("read.before", "FROM compute_servers")), "conductor", "database"),
    Step("17", "database -> conductor: the server's data", SQL,
         at("conductor", ("handle.before", *_DATA), ("read.after", "FROM compute_servers")), "conductor", "database"),
    Step("18", "bus -> compute-host: the answer", BUS, at("compute-host", ("call.after", *_DATA)),
         "compute-host", "bus", at("conductor", ("reply.before", *_DATA))),
    Step("19", "compute-host -> image", REST, at("compute-host", ("peer.before", "image", "GET")),
         "compute-host", "image"),
    Step("20", "image -> identity: validates", REST, at("image", _IMAGE, _VALIDATES), "image", "identity"),
    Step("21", "image -> compute-host: metadata and bytes", REST, at("image", _IMAGE, _IMAGE),
         "compute-host", "image"),
    Step("22", "compute-host -> network: ports", REST, at("compute-host", ("peer.before", *_PORTS)),
         "compute-host", "networking"),
    Step("23", "network -> identity: validates", REST, at("network", ("request.before", *_PORTS), _VALIDATES),
         "network", "identity"),
    Step("24", "network -> compute-host: MAC, addresses, how to plug", REST, at("network", ("answer.before", *_PORTS)),
         "compute-host", "networking"),
    Step("25", "compute-host -> volume: attachment", REST, at("compute-host", ("peer.before", *_ATTACHMENTS)),
         "compute-host", "volume"),
    Step("26", "volume -> identity: validates", REST, at("volume", ("request.before", *_ATTACHMENTS), _VALIDATES),
         "volume", "identity"),
    Step("27", "volume -> compute-host: connection data", REST,
         at("volume", ("answer.before", "volume", "PUT", "/v3/attachments/")), "compute-host", "volume"),
    Step("28", "compute-host -> hypervisor: guest started, before", DRIVER,
         at("compute-host", ("step.before", "build-server", "guest"))),
    Step("28+", "compute-host -> hypervisor: guest started, after", DRIVER,
         at("compute-host", ("step.after", "build-server", "guest"))),
)  # fmt: skip
"""The 28 steps of design section 5, with their sub-events; a `+` is the other side of the same step."""

KINDS = {  # of a flow's steps: what its work goes over
    "delete-server": {"settle": SQL, "guest": BUS, "volumes": REST, "ports": REST, "claim": REST, "bury": SQL},
    "attach-volume": {"reserve": REST, "guest": BUS, "done": SQL},
    "act-on-server": {"host": BUS, "done": SQL},
}
PEERS = {"volumes": "volume", "ports": "networking", "claim": "placement", "reserve": "volume"}
"""Whom a step that goes over REST asks."""
METHODS = {"delete-server": "remove", "attach-volume": "attach_volume", "act-on-server": "act"}
"""What the host is asked."""


def of_flow(flow: Flow) -> Iterator[Step]:
    """Every step of a flow, before and after its work, and what its host does: from the flow's own table."""
    for step in flow.steps:
        kind = KINDS[flow.name][step.name]
        to = {REST: PEERS.get(step.name, ""), BUS: "bus", SQL: "database"}[kind]
        method = ("compute-host", METHODS[flow.name])
        message = at("compute-api", ("call.before", *method))
        before = at("compute-api", ("step.before", flow.name, step.name))
        after = at("compute-api", ("step.after", flow.name, step.name))
        sent = message if kind == BUS else None
        yield Step(f"{step.name}", f"{flow.name}: before {step.name}", kind, before, "compute-api", to, sent)
        yield Step(f"{step.name}+", f"{flow.name}: after {step.name}", kind if kind != BUS else SQL, after,
                   "compute-api", to if kind != BUS else "database")  # fmt: skip
        if kind == BUS:
            taken, answered = (
                at("compute-host", ("handle.before", *method)),
                at("compute-host", ("reply.before", *method)),
            )
            arrives = at("compute-host", ("take.before", *method))
            yield Step(f"{step.name} host", f"the host takes {method[1]}", BUS, taken, "compute-host", "bus", arrives)
            yield Step(f"{step.name} host+", f"the host answers {method[1]}", BUS, answered, "compute-host", "bus",
                       answered)  # fmt: skip


SCENARIOS: dict[str, tuple[Step, ...]] = {
    "launch": LAUNCH,
    "delete": tuple(of_flow(DELETE_SERVER)),
    "attach": tuple(of_flow(ATTACH_VOLUME)),
    "reboot": tuple(of_flow(ACT_ON_SERVER)),
}


@dataclass(frozen=True)
class Cell:
    scenario: str
    step: Step
    fault: str

    def __str__(self) -> str:
        return f"{self.scenario} {self.step.name} {self.fault}"

    @property
    def place(self) -> Place:
        if self.fault in ("double", "drop"):
            assert self.step.message is not None
            return self.step.message
        return self.step.place

    @property
    def reason(self) -> str:
        return self.step.reason(self.fault)


def cells(scenario: str) -> Iterator[Cell]:
    """The whole matrix of a scenario, with what does not apply."""
    for step in SCENARIOS[scenario]:
        for fault in FAULTS:
            yield Cell(scenario, step, fault)


def part() -> list[Cell]:
    """What fits the time of every change: each of the 28 steps, and what goes over the bus, with one fault by turns."""
    steps = [("launch", step) for step in LAUNCH if step.name.isdigit()]
    steps += [(name, step) for name in ("delete", "attach", "reboot") for step in SCENARIOS[name] if step.kind == BUS]
    chosen = []
    for turn, (scenario, step) in enumerate(steps):
        applies = [fault for fault in FAULTS if not step.reason(fault)]
        chosen.append(Cell(scenario, step, applies[3 * turn % len(applies)]))
    return chosen
