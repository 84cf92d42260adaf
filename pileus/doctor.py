"""Says what this machine lacks to run a cloud, before anything is changed: each finding with its mend.

A check looks and never touches. What is needed stops a start; what is wanted only makes the cloud poorer, and says how.
"""

import enum
import importlib.util
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pileus.foundation.machine import CAP_NET_ADMIN, CAP_SYS_ADMIN, Machine
from pileus.foundation.runtime import Runtime
from pileus.foundation.state_directory import StateFacts, inspect_state

MIB = 1 << 20
LIBVIRT_URI = "qemu:///system"
LIBVIRT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Wish:
    """The cloud somebody wants to start."""

    hypervisor: str  # "libvirt" or "fake"
    port: int
    state: Path

    @property
    def is_real(self) -> bool:
        return self.hypervisor != "fake"


class Weight(enum.Enum):
    NEEDED = "needed"
    WANTED = "wanted"


@dataclass(frozen=True)
class Answer:
    """What a check saw."""

    is_well: bool
    seen: str = ""  # "3.11", "port 8800 is taken by nginx (412)"
    mend: str = ""  # when it depends on what was seen


@dataclass(frozen=True)
class Patient:
    """What the checks look at."""

    wish: Wish
    machine: Machine
    runtime: Runtime


@dataclass(frozen=True)
class Check:
    """One question to the machine."""

    name: str
    meaning: str  # what it is for: the sentence a user reads when it is missing
    mend: str
    look: Callable[[Patient], Awaitable[Answer]]
    weight: Weight = Weight.NEEDED
    only_real: bool = True  # a fake cloud does without


@dataclass(frozen=True)
class Finding:
    """A check and its answer."""

    check: Check
    answer: Answer

    @property
    def stops(self) -> bool:
        return not self.answer.is_well and self.check.weight is Weight.NEEDED

    @property
    def mend(self) -> str:
        return self.answer.mend or self.check.mend


# -- the looks ---------------------------------------------------------------------------------------------
async def _python(patient: Patient) -> Answer:
    version = patient.machine.python_version()
    return Answer(version >= (3, 11), ".".join(map(str, version)))


async def _root(patient: Patient) -> Answer:
    if patient.machine.user_id() != 0:
        return Answer(False, f"this is user {patient.machine.user_id()}")
    if not all(map(patient.machine.has_capability, (CAP_NET_ADMIN, CAP_SYS_ADMIN))):
        return Answer(
            False, "root, but without the rights over network and namespaces", "Run the container privileged."
        )
    return Answer(True)


def _command(name: str) -> Callable[[Patient], Awaitable[Answer]]:
    async def look(patient: Patient) -> Answer:
        path = patient.machine.find_command(name)
        return Answer(path is not None, path or "")

    return look


async def _binding(patient: Patient) -> Answer:
    return Answer(importlib.util.find_spec("libvirt") is not None)


async def _libvirt(patient: Patient) -> Answer:
    argv = ["virsh", "-q", "-c", LIBVIRT_URI, "uri"]
    try:
        done = await patient.runtime.run_command(argv, timeout_s=LIBVIRT_TIMEOUT_S)
    except FileNotFoundError:
        return Answer(
            False, "virsh is not installed", "Run `make setup`, or: apt-get install libvirt-clients libvirt-daemon"
        )
    except TimeoutError:
        return Answer(False, f"no answer within {LIBVIRT_TIMEOUT_S:.0f} s", "Restart libvirtd; running guests stay.")
    return Answer(done.code == 0, LIBVIRT_URI if done.code == 0 else _last_line(done.stderr))


def _last_line(raw: bytes) -> str:
    lines = raw.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else ""


async def _kvm(patient: Patient) -> Answer:
    from pileus.compute.drivers.libvirt.probe import probe_kvm

    answer = await probe_kvm(patient.runtime)
    return Answer(answer.works, answer.why)


async def _tun(patient: Patient) -> Answer:
    return Answer(patient.machine.has_device("net/tun"))


async def _memory(patient: Patient) -> Answer:
    needed = (768 if patient.wish.is_real else 160) * MIB
    free = patient.machine.available_memory_bytes()
    return Answer(free >= needed, f"{free // MIB} MiB free, {needed // MIB} wanted")


async def _disk(patient: Patient) -> Answer:
    needed = (2048 if patient.wish.is_real else 128) * MIB
    free = patient.machine.free_disk_bytes(patient.wish.state)
    return Answer(free >= needed, f"{free // MIB} MiB free, {needed // MIB} needed at {patient.wish.state}")


async def _state(patient: Patient) -> Answer:
    facts = inspect_state(patient.wish.state)
    return Answer(not facts.problem, facts.problem or _describe(facts, patient.wish.state), facts.mend)


async def _reach(patient: Patient) -> Answer:
    """Whether everybody may pass through the directories above the state; the state itself takes care of itself."""
    for folder in reversed(patient.wish.state.absolute().parents):
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return Answer(False, f"{folder} lets nobody pass", f"Run: chmod o+x {folder}; or choose another --state.")
    return Answer(True)


def _describe(facts: StateFacts, path: Path) -> str:
    if facts.running_pid:
        return f"{path}, a cloud runs on it (process {facts.running_pid})"
    return f"{path}, {'the same cloud goes on' if facts.exists else 'will be made'}"


async def _port(patient: Patient) -> Answer:
    port = patient.wish.port
    if not patient.machine.is_port_taken(port):
        return Answer(True, str(port))
    holder = patient.machine.port_holder(port)
    if holder and holder[0] == inspect_state(patient.wish.state).running_pid:
        return Answer(True, f"{port}, held by this cloud")
    return Answer(False, f"{port} is taken by {f'{holder[1]} (process {holder[0]})' if holder else 'another program'}")


def _package(name: str) -> str:
    return f"Run `make setup`, or: apt-get install {name}"


CHECKS: Sequence[Check] = (
    Check("python", "Pileus is written for Python 3.11.", "Use Debian 12's /usr/bin/python3.", _python,
          only_real=False),
    Check("state", "All that the cloud knows is kept there.", "", _state, only_real=False),
    Check("port", "The one address of the cloud.", "Stop that program, or choose another --port.", _port,
          only_real=False),
    Check("disk", "Images, disks of guests and the database are kept there.",
          "Free some space, or choose another --state.", _disk, only_real=False),
    Check("memory", "The cloud, and a first guest.", "End some programs, or use a larger machine.", _memory,
          Weight.WANTED, only_real=False),
    Check("root", "Bridges, taps and namespaces are made by root.", "Run it with sudo, or use --hypervisor fake.",
          _root),
    Check("reach", "Guests run as another user, who must get to their disks.", "", _reach),
    Check("ip", "Networks are made with it.", _package("iproute2"), _command("ip")),
    Check("nft", "Filters packets between guests.", _package("nftables"), _command("nft")),
    Check("dnsmasq", "Gives guests their addresses.", _package("dnsmasq-base"), _command("dnsmasq")),
    Check("tun", "Guests' network cards end in tap devices.", "Run: modprobe tun", _tun),
    Check("qemu", "Runs guests.", _package("qemu-system-x86"), _command("qemu-system-x86_64")),
    Check("qemu-tools", "Makes disks.", _package("qemu-utils"), _command("qemu-img")),
    Check("binding", "How Pileus speaks to libvirt.", _package("python3-libvirt"), _binding),
    Check("libvirt", "Starts, stops and remembers guests.",
          "Start it: `tools/hypervisor start`, or: systemctl start libvirtd", _libvirt),
    Check("kvm", "Without it guests are emulated in software: right, but about ten times slower.",
          "Switch on virtualisation in the firmware, or nested virtualisation on the host of this machine.", _kvm,
          Weight.WANTED),
)  # fmt: skip


# -- the whole visit ---------------------------------------------------------------------------------------
async def examine(
    wish: Wish, runtime: Runtime, machine: Machine | None = None, checks: Iterable[Check] = CHECKS
) -> list[Finding]:
    """Ask every check that concerns this wish, in the table's order."""
    patient = Patient(wish, machine or Machine(), runtime)
    return [Finding(check, await check.look(patient)) for check in checks if wish.is_real or not check.only_real]


def render(findings: Iterable[Finding]) -> str:
    """The findings as lines for a terminal; what is well takes one line, the rest says meaning and mend."""
    lines = []
    for finding in findings:
        word = "ok" if finding.answer.is_well else "missing" if finding.stops else "poor"
        lines.append(f"{word:<8} {finding.check.name:<11} {finding.answer.seen}".rstrip())
        if not finding.answer.is_well:
            indent = " " * 21
            lines += [f"{indent}{finding.check.meaning}", f"{indent}{finding.mend}"]
    return "\n".join(lines)


def exit_code(findings: Iterable[Finding]) -> int:
    """0: a cloud can start; 1: something that is needed is missing."""
    return int(any(finding.stops for finding in findings))
