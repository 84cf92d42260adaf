"""The 28 steps of a launch across processes, against what others saw of them.

RabbitMQ's tracing, PostgreSQL's statement log, the requests on the wire, the fake hypervisor's file or libvirt itself,
and the kernel, which knows whose sockets and files these are: each step is found there, done by the process that the
trace names.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import User
from tests.conftest import Run
from tests.guest.machine import Machine, machine_for_guests
from tests.holdings import GUESTS, guests_in
from tests.postgres import Server
from tests.private_rabbitmq import PrivateRabbit
from tests.processes.cluster import Cluster, cluster
from tests.processes.test_cluster import begin, prepared
from tests.processes.witnesses import (
    CLIENT,
    LINE_PREFIX,
    Exchange,
    Executed,
    Firehose,
    Kernel,
    Libvirt,
    Seen,
    StatementLog,
    Wire,
    transactions,
)

HOSTS = ("h1", "h2")
SEVERAL = ("compute-api", "scheduler", "conductor")


@dataclass
class Launch:
    """What the trace says, and everything to compare it with."""

    there: Cluster
    kernel: Kernel
    log: StatementLog
    user: User
    server: str
    attempt: dict[str, Any]
    wire: Wire
    seen: list[Seen]
    executed: list[Executed]

    def step(self, number: int) -> dict[str, Any]:
        """The step itself, not what belongs to it."""
        (found,) = (step for step in self.attempt["steps"] if step["step"] == number and not step["sub"])
        return dict(found)

    def by(self, number: int) -> str:
        """The process that the trace names for a step."""
        return str(self.step(number)["process"])

    def told_otherwise(self, number: int) -> "Launch":
        """The same evidence, and a trace that names another process for one step."""
        steps = [
            step | {"process": "somebody-else"} if step["step"] == number and not step["sub"] else step
            for step in self.attempt["steps"]
        ]
        return replace(self, attempt=self.attempt | {"steps": steps})

    def passes(self, kind: str, message: str) -> list[Seen]:
        """Each time when RabbitMQ took (`publish`) or gave (`deliver`) what has this id: a call, then its answer."""
        return [one for one in self.seen if one.kind == kind and one.body.get("id") == message]

    def done_by(self, number: int, one: Executed) -> None:
        """The step's process executed this: so it called itself, and it holds the session's socket."""
        assert one.process == self.by(number), one
        assert self.kernel.owner(one.port, self.log.port) == one.process


Check = Callable[[Launch], None]


@pytest.mark.parametrize("with_volume", [False, True])
def test_every_step_was_seen_by_others(
    tmp_path: Path, rabbit: PrivateRabbit, postgres: Server, run: Run, *, with_volume: bool
) -> None:
    log = StatementLog(postgres, postgres.create())

    async def story() -> None:
        made = Cluster(tmp_path, database=log.url(), bus=rabbit.url(), host_bus=lambda host: rabbit.url(f"host.{host}"))
        async with cluster(made, HOSTS) as there:
            options = await all_but_a_launch(there, HOSTS, rabbit, log)
            check_all(await launched(options, with_volume=with_volume), check_fake_hypervisor, with_volume=with_volume)

    run(story)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with machine_for_guests() as found:
        yield found


@pytest.mark.machine
@pytest.mark.guest
def test_every_step_of_a_real_guest_was_seen_by_others(machine: Machine, guest_image: Path, run: Run) -> None:
    directory = machine.root / "cluster"
    directory.mkdir()
    real = {"host": {"hypervisor": "libvirt"}, "volume_host": {"backend": "b1", "driver": "file"}}

    async def story() -> None:
        made = Cluster(
            directory, database=log.url(), bus=rabbit.url(), host_bus=lambda host: rabbit.url(f"host.{host}"), more=real
        )
        async with cluster(made, HOSTS[:1]) as there:
            stage = await all_but_a_launch(there, HOSTS[:1], rabbit, log, image=guest_image.read_bytes())
            launch = await launched(stage, with_volume=True)
            check_all(launch, check_libvirt, with_volume=True)
            await launch.user.delete("compute", f"/servers/{launch.server}")
            assert await launch.user.at_rest(launch.server, 60) is None

    with private_grounds(machine.root / "rabbitmq") as (rabbit, postgres):
        log = StatementLog(postgres, postgres.create())
        run(story)


@contextlib.contextmanager
def private_grounds(directory: Path) -> Iterator[tuple[PrivateRabbit, Server]]:
    """A broker and a database server on the machine where the test itself lives."""
    directory.mkdir()
    rabbit, postgres = PrivateRabbit(directory), Server()
    postgres.settings["log_line_prefix"] = LINE_PREFIX
    try:
        rabbit.start()
        postgres.start()
        yield rabbit, postgres
    finally:
        rabbit.stop()
        postgres.remove()


def check_all(launch: Launch, check_hypervisor: Check, *, with_volume: bool) -> None:
    """All steps; and that a trace that names another process for any one of them is refused."""
    check(launch, check_hypervisor, with_volume=with_volume)
    for number in range(1, 29):
        with pytest.raises((AssertionError, ValueError)):  # evidence against, or none
            check(launch.told_otherwise(number), check_hypervisor, with_volume=with_volume)


def check(launch: Launch, check_hypervisor: Check, *, with_volume: bool) -> None:
    """Raises: AssertionError, or ValueError where something was not seen once."""
    check_login(launch)
    created = check_promise(launch)
    chosen = check_messages(launch, created)
    check_data(launch, chosen)
    check_image(launch)
    check_ports(launch)
    check_volumes(launch, with_volume=with_volume)
    check_hypervisor(launch)


@dataclass
class Stage:
    """A running cluster, its witnesses, and what a launch is asked with."""

    there: Cluster
    kernel: Kernel
    wire: Wire
    rabbit: PrivateRabbit
    log: StatementLog
    admin: User
    user: User
    options: dict[str, Any]


async def all_but_a_launch(
    there: Cluster, hosts: Sequence[str], rabbit: PrivateRabbit, log: StatementLog, image: bytes = b""
) -> Stage:
    """Everything runs. `image`: the qcow2 that guests boot, for a hypervisor that boots it."""
    kernel = Kernel(there)
    wire = Wire(there, kernel)
    names = ("identity", "image", "network", "volume", "placement", "operations")
    await begin(there, *((f"{name}-1", name) for name in names))
    await begin(there, *((f"{name}-{number}", name) for name in SEVERAL for number in (1, 2)))
    await there.add("volume-host-1", "volume-host", host=hosts[0])
    for number, host in enumerate(hosts, 1):
        await there.add(f"compute-host-{number}", "compute-host", host=host)
    admin, user, options = await prepared(there)
    if image:
        options["image"] = await admin.create_image("guest", image, disk_format="qcow2", visibility="public")
        options["flavor"] = await admin.create_flavor("guest", ram_mib=192)
    return Stage(there, kernel, wire, rabbit, log, admin, user, options)


async def launched(stage: Stage, *, with_volume: bool) -> Launch:
    """A server, launched with a new token while all witnesses look."""
    user, options = stage.user, dict(stage.options)
    if with_volume:
        volume = await user.create_volume("data")
        await user.volume_at_rest(volume, 60)
        options["block_device_mapping_v2"] = [
            {"uuid": options["image"], "source_type": "image", "destination_type": "local", "boot_index": 0},
            {"uuid": volume, "source_type": "volume", "destination_type": "volume", "boot_index": -1},
        ]
    async with Firehose(stage.rabbit, stage.kernel, stage.there.runtime.now) as firehose:
        await user.login()
        server = await user.launch("seen", **options)
        found = await user.at_rest(server, 60)
        assert found is not None and found["status"] == "ACTIVE", found
        seen = await firehose.seen()
    (attempt,) = (await stage.admin.get("pileus", f"/traces/{server}"))["attempts"]
    assert attempt["missing"] == []
    statements = await stage.log.statements()
    return Launch(stage.there, stage.kernel, stage.log, user, server, attempt, stage.wire, seen, statements)


# -- until the 202 ----------------------------------------------------------------------------------------------------
def check_login(launch: Launch) -> None:
    """Steps 1 and 2: the token that the launch used was asked for and given here."""
    logins = launch.wire.of("POST", "/identity/v3/auth/tokens", source=CLIENT)
    (login,) = (one for one in logins if one.answered.headers.get("x-subject-token") == launch.user.token)
    assert login.status == 201
    assert login.target == launch.by(1) == launch.by(2)
    assert login.request_id == launch.step(1)["data"]["request_id"]
    assert launch.step(2)["data"]["audit_id"] == json.loads(login.answered.body)["token"]["audit_ids"][0]


def check_promise(launch: Launch) -> list[Executed]:
    """Steps 3 to 7: the request, its token's validation, and what was read and written before the 202."""
    (asked,) = launch.wire.of("POST", "/compute/v2.1/servers", source=CLIENT)
    assert (asked.status, asked.token) == (202, launch.user.token)
    assert json.loads(asked.answered.body)["server"]["id"] == launch.server
    assert asked.target == launch.by(3)
    caller = check_validation(launch, 4, asked)
    assert launch.by(5) == launch.by(4) == asked.target
    data = launch.step(5)["data"]
    assert (data["user"], data["project"]) == (caller["user"]["id"], caller["project"]["id"])
    assert data["audit_id"] == caller["audit_ids"][0]
    read = [
        one for one in launch.executed
        if one.process == launch.by(6) and one.text.startswith("SELECT")
        and asked.asked.at <= one.at <= asked.answered.at
    ]  # fmt: skip
    assert any("FROM compute_flavors" in one.text for one in read)
    for service, path in (("image", r"/image/v2/images/[^/]*"), ("networking", r"/networking/v2.0/networks\?id=.*")):
        looks = launch.wire.of("GET", path, source=asked.target, token=launch.user.token, status=200)
        assert any(asked.asked.at <= one.asked.at <= one.answered.at <= asked.answered.at for one in looks), service
    committed = transactions(launch.executed)
    (created,) = (group for group in committed if wrote(group, "INSERT INTO compute_servers", id=launch.server))
    assert wrote(created, "INSERT INTO compute_flows", subject=launch.server, name="launch-server")
    (counted,) = (one for one in created if "AND is_counted = 1" in one.text)
    assert counted.values["project_id"] == launch.user.project_id
    launch.done_by(6, counted)
    launch.done_by(7, created[-1])
    assert asked.asked.at <= created[0].at <= created[-1].at <= asked.answered.at
    return created


def wrote(group: list[Executed], beginning: str, **values: str) -> list[Executed]:
    """What a transaction wrote with these values."""
    return [one for one in group if one.text.startswith(beginning) and values.items() <= one.values.items()]


def check_validation(launch: Launch, number: int, asked: Exchange) -> dict[str, Any]:
    """Identity was asked about this request's token by who took the request, for it or, remembered, for an earlier one.

    Returns what it answered.
    """
    step = launch.step(number)
    assert step["process"] == asked.target
    wanted = step["validated_by"] if step["cached"] else asked.request_id
    asks = launch.wire.of("GET", r"/identity/v3/auth/tokens(\?.*)?", source=asked.target, status=200)
    (found,) = (
        one for one in asks
        if one.asked.headers["x-subject-token"] == asked.token and one.asked.headers["x-openstack-request-id"] == wanted
    )  # fmt: skip
    assert found.answered.at <= asked.answered.at
    assert step["cached"] or found.asked.at >= asked.asked.at
    return dict(json.loads(found.answered.body)["token"])


# -- over the bus -----------------------------------------------------------------------------------------------------
def check_messages(launch: Launch, created: list[Executed]) -> list[Executed]:
    """Steps 8 to 15 and 18: what RabbitMQ took from whom and gave to whom, in this order, and what was written between.

    Returns the transaction that named the host.
    """
    host = launch.attempt["host"]
    call, cast, data = (launch.step(number)["data"]["message"] for number in (8, 12, 14))
    (called, _), (call_taken, _) = launch.passes("publish", call), launch.passes("deliver", call)
    (sent,), (sent_taken,) = launch.passes("publish", cast), launch.passes("deliver", cast)
    (asked, _), (asked_taken, answer) = launch.passes("publish", data), launch.passes("deliver", data)
    way = (
        (8, called, "call.scheduler", "pileus"), (9, call_taken, "call.scheduler", "pileus"),
        (12, sent, f"cast.compute-host.{host}", "pileus"),
        (13, sent_taken, f"cast.compute-host.{host}", f"host.{host}"),
        (14, asked, "call.conductor", f"host.{host}"), (15, asked_taken, "call.conductor", "pileus"),
        (18, answer, asked.body["reply_to"], f"host.{host}"),
    )  # fmt: skip
    for number, one, key, account in way:
        assert (one.key, one.account, one.process) == (key, account, launch.by(number)), number
        assert one.body["id"] == launch.step(number)["data"]["message"]
        if number != 18:
            assert one.name == ("pileus" if one.kind == "publish" else key)
            assert one.body["method"] == launch.step(number)["data"]["method"]
            assert one.body["args"]["server_id"] == launch.server
    assert [one.place for _, one, *_ in way] == sorted(one.place for _, one, *_ in way)
    assert created[-1].at <= called.at
    return check_choice(launch, created, sent)


def check_choice(launch: Launch, created: list[Executed], cast: Seen) -> list[Executed]:
    """Steps 10 and 11: candidates and claim in placement, then the row names the host: compare-and-set."""
    scheduler, host, epoch = launch.by(10), launch.attempt["host"], str(launch.step(11)["data"]["epoch"])
    asked = launch.wire.of("GET", r"/placement/allocation_candidates\?.*", source=scheduler, status=200)
    (claim,) = launch.wire.of("PUT", f"/placement/allocations/{launch.server}", source=scheduler, status=204)
    assert any(one.answered.at <= claim.asked.at for one in asked)
    claims = [
        one for one in launch.executed
        if one.text.startswith("INSERT INTO placement_allocations") and one.values.get("consumer") == launch.server
    ]  # fmt: skip
    assert {one.process for one in claims} == {claim.target}
    (named,) = (
        group for group in transactions(launch.executed)
        if group[0].process == scheduler
        and wrote(group, "UPDATE compute_servers", id=launch.server, host=host, epoch=epoch)
    )  # fmt: skip
    (update,) = wrote(named, "UPDATE compute_servers", id=launch.server)
    assert re.search(r"WHERE id = \$\d+ AND generation = \$\d+$", update.text)
    launch.done_by(10, named[0])
    launch.done_by(11, update)
    assert created[-1].at <= claim.asked.at <= claim.answered.at <= named[-1].at <= cast.at
    return named


def check_data(launch: Launch, chosen: list[Executed]) -> None:
    """Steps 16 and 17: the conductor that took the call read the row, then answered with what is in it."""
    message = launch.step(14)["data"]["message"]
    _, answer = launch.passes("publish", message)
    taken, heard = launch.passes("deliver", message)
    assert answer.process == launch.by(15) == launch.by(16) == launch.by(17)
    reads = [
        one for one in launch.executed
        if one.process == answer.process and "FROM compute_servers WHERE id = $1" in one.text
        and launch.server in one.arguments.values() and chosen[-1].at <= one.at <= answer.at
    ]  # fmt: skip
    assert reads
    launch.done_by(16, reads[0])
    assert taken.place < answer.place < heard.place
    (row,) = launch.log.rows("SELECT vcpus, ram_mib FROM compute_servers WHERE id = $1", launch.server)
    data = launch.step(17)["data"]
    assert (data["server"], data["vcpus"], data["ram_mib"]) == (launch.server, row["vcpus"], row["ram_mib"])


# -- on the host ------------------------------------------------------------------------------------------------------
def check_rest(launch: Launch, numbers: tuple[int, int, int], asked: Exchange) -> None:
    """A request of the process that took the cast, its validation, and the answer."""
    out, check, back = numbers
    assert launch.by(out) == launch.by(back) == asked.source
    check_validation(launch, check, asked)
    (arrived,) = launch.passes("deliver", launch.step(13)["data"]["message"])
    assert asked.source == arrived.process


def check_image(launch: Launch) -> None:
    """Steps 19 to 21."""
    image = launch.step(21)["data"]["id"]
    (asked,) = launch.wire.of("GET", f"/image/v2/images/{image}", source=launch.by(19), status=200)
    check_rest(launch, (19, 20, 21), asked)
    assert asked.token == launch.user.token
    shown = json.loads(asked.answered.body)
    assert (shown["id"], shown["os_hash_value"]) == (image, launch.step(21)["data"]["os_hash_value"])
    (data,) = launch.wire.of("GET", f"/image/v2/images/{image}/file", source=launch.by(21), status=200)
    assert len(data.answered.body) == launch.step(21)["data"]["size"] > 0


def check_ports(launch: Launch) -> None:
    """Steps 22 to 24."""
    (asked,) = launch.wire.of("POST", "/networking/v2.0/ports", source=launch.by(22), status=201)
    check_rest(launch, (22, 23, 24), asked)
    assert asked.token == launch.user.token
    made = json.loads(asked.answered.body)
    ports = made["ports"] if "ports" in made else [made["port"]]
    told = [(port["id"], port["mac"], port["addresses"]) for port in launch.step(24)["data"]["ports"]]
    assert told == [
        (port["id"], port["mac_address"], [fixed["ip_address"] for fixed in port["fixed_ips"]]) for port in ports
    ]
    assert {port["binding:host_id"] for port in ports} == {launch.attempt["host"]}


def check_volumes(launch: Launch, *, with_volume: bool) -> None:
    """Steps 25 to 27; a launch without volumes says so, and nobody was asked."""
    if not with_volume:
        (arrived,) = launch.passes("deliver", launch.step(13)["data"]["message"])
        for number in (25, 26, 27):
            assert "no volumes" in launch.step(number)["data"]["skipped"]
            assert launch.by(number) == arrived.process
        assert not [one for one in launch.wire.exchanges if one.source == launch.by(25) and "/attachments" in one.path]
        return
    attachment = launch.step(27)["data"]["attachment"]
    (reserved,) = launch.wire.of("POST", "/volume/v3/attachments", source=launch.by(25), status=200)
    assert reserved.token == launch.user.token  # what follows is the host's own right
    assert json.loads(reserved.answered.body)["attachment"]["id"] == attachment
    (asked,) = launch.wire.of("PUT", f"/volume/v3/attachments/{attachment}", source=launch.by(25), status=200)
    check_rest(launch, (25, 26, 27), asked)
    assert asked.request_id == launch.step(27)["data"]["request_id"]
    shown = json.loads(asked.answered.body)["attachment"]
    assert (shown["id"], shown["instance"]) == (attachment, launch.server)
    assert reserved.answered.at <= asked.asked.at


def check_fake_hypervisor(launch: Launch) -> None:
    """Step 28: the guest is in the file that the hypervisor of this host keeps, and its process alone holds it open."""
    host = launch.attempt["host"]
    files = {one: launch.there.state / "hosts" / one / GUESTS for one in HOSTS}
    ((where, guest),) = (
        (one, guest) for one, file in files.items() for guest in guests_in(file) if guest.server_id == launch.server
    )
    assert where == host
    assert guest.power == launch.step(28)["data"]["power_state"] == 1
    assert launch.kernel.holders(str(files[host])) == [launch.by(28)]


def check_libvirt(launch: Launch) -> None:
    """Step 28: libvirt knows the guest by the server's id, QEMU runs it since then, one process alone asks libvirt."""
    step, libvirt = launch.step(28), Libvirt(launch.kernel)
    assert libvirt.state(launch.server) == "running"
    assert step["data"]["power_state"] == 1
    began, ended = step["start"], step["start"] + round(step["duration_ms"] * 1000)
    assert began <= libvirt.began(launch.server) <= ended
    assert libvirt.clients() == {launch.by(28)}
