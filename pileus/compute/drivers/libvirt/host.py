"""What a host with libvirt has, and whether its KVM is worth using."""

import os
from pathlib import Path

import msgspec

from pileus.compute.drivers.base import CpuFact, HostInventory
from pileus.compute.drivers.devices import PREFIXES
from pileus.compute.drivers.libvirt.domain_facts import Machine
from pileus.compute.drivers.libvirt.domain_xml import VIF_MODELS
from pileus.compute.drivers.libvirt.probe import KvmAnswer, probe_kvm
from pileus.foundation.runtime import Runtime

GIB = 1 << 30


class _Remembered(msgspec.Struct, frozen=True):
    boot_id: str
    emulator: str
    answer: KvmAnswer


async def remembered_kvm(runtime: Runtime, state_dir: Path, *, emulator: str) -> KvmAnswer:
    """The probe's answer, kept in the state directory until the machine boots again."""
    path = state_dir / "kvm.json"
    known = await runtime.in_thread(_recall, path, pool="guest files")
    if known is not None and runtime.boot_id and (known.boot_id, known.emulator) == (runtime.boot_id, emulator):
        return known.answer
    answer = await probe_kvm(runtime, emulator=emulator)
    await runtime.in_thread(_remember, path, _Remembered(runtime.boot_id, emulator, answer), pool="guest files")
    return answer


def _recall(path: Path) -> _Remembered | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Remembered)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _remember(path: Path, what: _Remembered) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(what))
    partial.rename(path)


def host_inventory(hostname: str, state_dir: Path, machine: Machine, cpu: CpuFact, virt_type: str) -> HostInventory:
    disk = os.statvfs(state_dir)
    return HostInventory(
        hostname=hostname,
        vcpus=machine.vcpus,
        ram_mib=machine.ram_mib,
        disk_gib=disk.f_blocks * disk.f_frsize // GIB,
        disk_free_gib=disk.f_bavail * disk.f_frsize // GIB,
        hypervisor_type="QEMU",
        hypervisor_version=machine.version,
        virt_type=virt_type,
        cpu=cpu,
        disk_buses=tuple(PREFIXES),
        vif_models=VIF_MODELS,
        machine_types=("pc", "q35"),
        uptime_s=_uptime_s(),
    )


def _uptime_s() -> int | None:
    try:
        return int(float(Path("/proc/uptime").read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        return None
