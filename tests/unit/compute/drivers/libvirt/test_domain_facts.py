"""What libvirt says, read back."""

import pytest

from pileus.compute.drivers.base import PowerState
from pileus.compute.drivers.libvirt.domain_facts import (
    power_after,
    power_state,
    read_cpu,
    read_definition,
    server_of,
)

SERVER = "11111111-2222-3333-4444-555555555555"
MARK = f"<p:guest xmlns:p='urn:pileus:guest:1'><p:server id='{SERVER}' epoch='3' root='/dev/vda'/></p:guest>"


def domain(metadata: str, uuid: str = SERVER) -> str:
    return f"""<domain id='1'><name>x</name><uuid>{uuid}</uuid><metadata>{metadata}</metadata>
        <memory unit='KiB'>524288</memory><vcpu>2</vcpu><devices>
        <disk><source file='/root'/><target dev='vda' bus='virtio'/></disk>
        <disk><source file='/v'/><target dev='sdb' bus='scsi'/><serial>vol-1</serial></disk>
        <interface><mac address='m1'/><target dev='tap1'/><alias name='ua-port-1'/></interface>
        <interface><mac address='m2'/><target dev='tap2'/><alias name='net1'/></interface>
        <serial><source path='/dev/pts/3'/></serial></devices></domain>"""


def test_a_marked_guest_is_ours() -> None:
    found = read_definition(domain(MARK))
    assert found is not None
    assert (found.mark.epoch, found.vcpus, found.ram_mib, found.root_source) == (3, 2, 512, "/root")
    assert found.buses == {"/dev/vda": "virtio", "/dev/sdb": "scsi"}
    assert (found.volumes, found.ports, found.macs) == ({"vol-1": "/dev/sdb"}, {"port-1": "tap1"}, {"port-1": "m1"})
    assert found.serial_path == "/dev/pts/3"


@pytest.mark.parametrize("metadata", ["", "<other/>", MARK.replace(":1'", ":9'")])
def test_a_guest_without_our_mark_is_a_stranger(metadata: str) -> None:
    assert read_definition(domain(metadata)) is None


def test_a_copy_of_our_guest_under_another_id_is_a_stranger() -> None:
    assert read_definition(domain(MARK, uuid="99999999-2222-3333-4444-555555555555")) is None


@pytest.mark.parametrize(
    ("state", "reason", "is_saved", "power"),
    [
        (0, 0, False, PowerState.NOSTATE),
        (1, 1, False, PowerState.RUNNING),
        (2, 0, False, PowerState.RUNNING),
        (3, 1, False, PowerState.PAUSED),
        (4, 0, False, PowerState.RUNNING),
        (5, 1, False, PowerState.SHUTDOWN),
        (5, 3, False, PowerState.CRASHED),
        (5, 4, True, PowerState.SUSPENDED),
        (6, 0, False, PowerState.CRASHED),
        (7, 0, False, PowerState.SUSPENDED),
        (99, 0, False, PowerState.NOSTATE),
    ],
)
def test_states_are_the_apis_numbers(state: int, reason: int, is_saved: bool, power: PowerState) -> None:
    assert power_state(state, reason, is_saved=is_saved) == power


@pytest.mark.parametrize(
    ("event", "detail", "power"),
    [
        (2, 0, PowerState.RUNNING),
        (3, 0, PowerState.PAUSED),
        (4, 0, PowerState.RUNNING),
        (5, 0, PowerState.SHUTDOWN),
        (5, 1, PowerState.SHUTDOWN),
        (5, 2, PowerState.CRASHED),
        (5, 4, PowerState.SUSPENDED),
        (5, 5, PowerState.CRASHED),
        (8, 0, PowerState.CRASHED),
    ],
)
def test_events_tell_of_power(event: int, detail: int, power: PowerState) -> None:
    known = power_after(event, detail)
    assert known is not None and known[0] == power


@pytest.mark.parametrize(("event", "detail"), [(0, 0), (1, 0), (5, 3), (-1, 0)])
def test_other_events_tell_nothing_of_power(event: int, detail: int) -> None:
    assert power_after(event, detail) is None


def test_names_tell_whose_guest_it_is() -> None:
    assert server_of(f"pileus-{SERVER}") == SERVER
    assert server_of("somebody-else") == ""


def test_the_hosts_processor_is_read_and_may_be_unknown() -> None:
    capabilities = """<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>
        <feature name='x'/><feature name='y'/></cpu></host></capabilities>"""
    cpu = read_cpu(capabilities, sockets=1, cores=2, threads=3)
    assert (cpu.model, cpu.vendor, cpu.features, cpu.threads) == ("EPYC", "AMD", ("x", "y"), 3)
    assert read_cpu("<capabilities/>", sockets=1, cores=2, threads=3).model == ""
