"""The 28 steps of a launch: the contract between what happens and what the trace shows.

The trace is assembled against this table and the picture in `docs/life-of-a-server.md` is drawn from it. Nothing here
makes an event: events are recorded where they happen.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaunchStep:
    """One step, or (with `sub`) a part of one: from which part of the cloud to which, and what goes between them."""

    number: int
    source: str
    target: str
    what: str
    note: str = ""
    sub: str = ""

    @property
    def label(self) -> str:
        """As people say it: "10" or "10a"."""
        return f"{self.number}{self.sub}"


PARTS: tuple[str, ...] = (
    "client", "identity", "compute-api", "database", "bus", "scheduler", "placement", "compute-host", "conductor",
    "image", "network", "volume", "hypervisor",
)  # fmt: skip

STEPS: tuple[LaunchStep, ...] = (
    LaunchStep(1, "client", "identity", "credentials over REST"),
    LaunchStep(2, "identity", "client", "token", "steps 1 and 2 belong to the token that the launch used"),
    LaunchStep(3, "client", "compute-api", "POST /servers with the token"),
    LaunchStep(
        4, "compute-api", "identity", "is this token valid, what may it do", "a cached answer is recorded as such"
    ),
    LaunchStep(5, "identity", "compute-api", "user, project, roles"),
    LaunchStep(6, "compute-api", "database", "quota, flavor, image and network checks"),
    LaunchStep(
        7,
        "database",
        "compute-api",
        "the server's row and its launch flow, one transaction; 202 to the client",
        "vm_state building, task_state scheduling",
    ),
    LaunchStep(
        8,
        "compute-api",
        "bus",
        "call scheduler.select_host",
        "after the 202, by a task that any conductor can take over",
    ),
    LaunchStep(9, "bus", "scheduler", "takes the request"),
    LaunchStep(
        10,
        "scheduler",
        "database",
        "filter, then weigh; claim in placement",
        "the funnel (hosts left after each filter) is recorded",
    ),
    LaunchStep(11, "database", "scheduler", "the row now names the host", "compare-and-set"),
    LaunchStep(12, "scheduler", "bus", "cast compute-host.launch to that host"),
    LaunchStep(13, "bus", "compute-host", "takes the request"),
    LaunchStep(
        14,
        "compute-host",
        "bus",
        "call conductor for the server's data (host, flavor: vCPU, RAM, disk)",
        "hosts have no database",
    ),
    LaunchStep(15, "bus", "conductor", "takes the request"),
    LaunchStep(16, "conductor", "database", "reads"),
    LaunchStep(17, "database", "conductor", "the server's data"),
    LaunchStep(18, "bus", "compute-host", "the answer"),
    LaunchStep(
        19,
        "compute-host",
        "image",
        "REST with the token: image by id, then its data",
        "local cache of base images, checked by hash",
    ),
    LaunchStep(20, "image", "identity", "validates the token"),
    LaunchStep(21, "image", "compute-host", "metadata (format, size, hash) and bytes"),
    LaunchStep(22, "compute-host", "network", "REST with the token: ports, addresses", "task_state networking"),
    LaunchStep(23, "network", "identity", "validates the token"),
    LaunchStep(24, "network", "compute-host", "MAC, fixed IPs, how to plug"),
    LaunchStep(
        25,
        "compute-host",
        "volume",
        "REST with the token: attachments",
        "task_state block_device_mapping; a launch without volumes says so in steps 25 to 27",
    ),
    LaunchStep(26, "volume", "identity", "validates the token"),
    LaunchStep(27, "volume", "compute-host", "connection data"),
    LaunchStep(
        28,
        "compute-host",
        "hypervisor",
        "domain definition built, guest started",
        "task_state spawning, then none; vm_state active; power_state running",
    ),
)

SUB_STEPS: tuple[LaunchStep, ...] = (
    LaunchStep(6, "compute-api", "image", "the image over REST, validated there", sub="a"),
    LaunchStep(6, "compute-api", "network", "the networks over REST, validated there", sub="b"),
    LaunchStep(6, "compute-api", "volume", "the volumes over REST, validated there", sub="c"),
    LaunchStep(10, "scheduler", "placement", "candidates and claim over REST", sub="a"),
)

BY_NUMBER: dict[int, LaunchStep] = {step.number: step for step in STEPS}
LAST = STEPS[-1].number


def find_step(number: int, sub: str = "") -> LaunchStep | None:
    """The step or part of a step of this number; None for what the contract does not know."""
    if not sub:
        return BY_NUMBER.get(number)
    return next((step for step in SUB_STEPS if step.number == number and step.sub == sub), None)
