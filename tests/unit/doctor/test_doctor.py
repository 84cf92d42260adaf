"""Doctor: what it asks, what it says, what it stops; on machines of every kind, none of them touched."""

import dataclasses
import os
from pathlib import Path

import pytest

from pileus.doctor import CHECKS, Check, Finding, Weight, Wish, examine, exit_code, render
from pileus.foundation.machine import Machine
from pileus.foundation.runtime import Completed, Runtime
from pileus.foundation.state_directory import StateDirectory
from tests.conftest import Run


class PlantedMachine(Machine):
    """A machine that has everything, but for what a test takes away."""

    version = (3, 11)
    user = 0
    rights = True
    missing: tuple[str, ...] = ()
    memory = 4 << 30
    disk = 40 << 30
    taken: dict[int, tuple[int, str] | None] = {}

    def python_version(self) -> tuple[int, int]:
        return self.version

    def user_id(self) -> int:
        return self.user

    def has_capability(self, number: int) -> bool:
        return self.rights

    def find_command(self, name: str) -> str | None:
        return None if name in self.missing else f"/usr/bin/{name}"

    def has_device(self, name: str) -> bool:
        return name not in self.missing

    def available_memory_bytes(self) -> int:
        return self.memory

    def free_disk_bytes(self, path: Path) -> int:
        return self.disk

    def is_port_taken(self, port: int) -> bool:
        return port in self.taken

    def port_holder(self, port: int) -> tuple[int, str] | None:
        return self.taken.get(port)


class PlantedRuntime(Runtime):
    """Runs no command: virsh answers as planted, QEMU under KVM ends as it should."""

    virsh: Completed | Exception = Completed(0, b"qemu:///system\n", b"")
    kvm = Completed(33, b"", b"")

    async def run_command(self, argv, **options):  # type: ignore[no-untyped-def]
        if argv[0] != "virsh":
            return self.kvm
        if isinstance(self.virsh, Exception):
            raise self.virsh
        return self.virsh


@pytest.fixture
def machine() -> PlantedMachine:
    return PlantedMachine()


@pytest.fixture
def planted() -> PlantedRuntime:
    return PlantedRuntime("test")


@pytest.fixture
def wish(tmp_path: Path) -> Wish:
    for folder in (tmp_path, *tmp_path.parents[:3]):  # pytest keeps its folders to itself
        if folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return Wish("libvirt", 8800, tmp_path / "state")


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check.name: finding for finding in findings}


def test_a_machine_with_everything_is_well(run: Run, wish: Wish, planted: Runtime, machine: Machine) -> None:
    findings = run(examine, wish, planted, machine)
    unwell = [name for name, finding in by_name(findings).items() if not finding.answer.is_well]
    assert unwell in ([], ["kvm"])  # the probe looks for the machine's own /dev/kvm
    assert exit_code(findings) == 0


@pytest.mark.parametrize(
    ("attribute", "value", "name", "words"),
    [
        ("version", (3, 9), "python", "/usr/bin/python3"),
        ("user", 1000, "root", "sudo"),
        ("rights", False, "root", "privileged"),
        ("missing", ("dnsmasq",), "dnsmasq", "apt-get install dnsmasq-base"),
        ("missing", ("nft",), "nft", "apt-get install nftables"),
        ("missing", ("ip",), "ip", "apt-get install iproute2"),
        ("missing", ("qemu-img",), "qemu-tools", "apt-get install qemu-utils"),
        ("missing", ("qemu-system-x86_64",), "qemu", "apt-get install qemu-system-x86"),
        ("missing", ("net/tun",), "tun", "modprobe tun"),
        ("disk", 100 << 20, "disk", "Free some space"),
        ("taken", {8800: (412, "nginx")}, "port", "nginx (process 412)"),
        ("taken", {8800: None}, "port", "another program"),
    ],
)
def test_what_is_missing_stops_and_names_its_mend(
    attribute: str, value: object, name: str, words: str, run: Run, wish: Wish, planted: Runtime, machine: Machine
) -> None:
    setattr(machine, attribute, value)
    findings = run(examine, wish, planted, machine)
    finding = by_name(findings)[name]
    assert finding.stops
    assert exit_code(findings) == 1
    text = render([finding])
    assert text.startswith("missing")
    assert words in text
    assert finding.check.meaning in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (FileNotFoundError("virsh"), "not installed"),
        (TimeoutError("slow"), "no answer within"),
        (
            Completed(1, b"", b"error: failed to connect\nerror: No such file or directory\n"),
            "No such file or directory",
        ),
    ],
)
def test_a_libvirt_that_does_not_answer_stops(
    outcome: Completed | Exception, words: str, run: Run, wish: Wish, planted: PlantedRuntime, machine: Machine
) -> None:
    planted.virsh = outcome
    finding = by_name(run(examine, wish, planted, machine))["libvirt"]
    assert finding.stops
    assert words in render([finding])


def test_kvm_that_does_not_work_makes_the_cloud_poorer_and_stops_nothing(
    run: Run, wish: Wish, planted: PlantedRuntime, machine: Machine
) -> None:
    planted.kvm = Completed(-6, b"", b"failed to set MSR\n")
    findings = run(examine, wish, planted, machine)
    assert not by_name(findings)["kvm"].answer.is_well
    assert exit_code(findings) == 0
    assert "poor     kvm" in render(findings)


def test_little_memory_is_said_and_stops_nothing(
    run: Run, wish: Wish, planted: Runtime, machine: PlantedMachine
) -> None:
    machine.memory = 100 << 20
    findings = run(examine, wish, planted, machine)
    assert "100 MiB free" in by_name(findings)["memory"].answer.seen
    assert exit_code(findings) == 0


def test_a_fake_cloud_needs_no_root_and_nothing_of_the_hypervisor(
    run: Run, wish: Wish, planted: PlantedRuntime, machine: PlantedMachine
) -> None:
    machine.user, machine.missing, planted.virsh = 1000, ("ip", "dnsmasq", "qemu-img"), FileNotFoundError("virsh")
    findings = run(examine, dataclasses.replace(wish, hypervisor="fake"), planted, machine)
    assert set(by_name(findings)) == {"python", "state", "port", "disk", "memory"}
    assert exit_code(findings) == 0


def test_the_port_of_the_cloud_that_runs_here_is_no_fault(
    run: Run, wish: Wish, planted: Runtime, machine: PlantedMachine
) -> None:
    held = StateDirectory(wish.state)
    machine.taken = {8800: (os.getpid(), "pileus")}
    findings = by_name(run(examine, wish, planted, machine))
    held.release()
    assert findings["port"].answer.is_well
    assert "a cloud runs on it" in findings["state"].answer.seen


def test_a_state_of_another_format_stops(run: Run, wish: Wish, planted: Runtime, machine: Machine) -> None:
    wish.state.mkdir()
    (wish.state / "format").write_text("2\n")
    finding = by_name(run(examine, wish, planted, machine))["state"]
    assert finding.stops
    assert "Start the pileus that made it" in render([finding])


def test_a_state_that_guests_cannot_reach_stops(
    run: Run, wish: Wish, planted: Runtime, machine: Machine, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    finding = by_name(run(examine, dataclasses.replace(wish, state=closed / "state"), planted, machine))["reach"]
    assert finding.stops
    assert f"chmod o+x {closed}" in render([finding])


def test_looking_makes_nothing(run: Run, wish: Wish, planted: Runtime, machine: Machine) -> None:
    run(examine, wish, planted, machine)
    assert not wish.state.exists()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_check_says_what_it_is_for(check: Check) -> None:
    assert check.meaning.endswith(".")
    assert check.mend or check.name in {"state", "reach"}  # theirs depends on what is seen
    assert check.weight in Weight
