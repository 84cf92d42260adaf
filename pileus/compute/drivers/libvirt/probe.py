"""Whether KVM works here: only a guest that ran is an answer.

`/dev/kvm` and what libvirt says of the host prove nothing: under nested virtualisation the device may be there while
every guest aborts or crawls. So a sector of 512 bytes is booted that switches its machine off with a known code.
"""

import tempfile
from pathlib import Path

import msgspec

from pileus.foundation.runtime import Runtime

LIMIT_S = 2.0
EXIT_CODE = 33  # (0x10 << 1) | 1: what isa-debug-exit makes of the value below

# mov dx, 0xf4; mov al, 0x10; out dx, al; hlt
_CODE = bytes.fromhex("baf400b010eef4")
BOOT_SECTOR = _CODE + bytes(510 - len(_CODE)) + b"\x55\xaa"


class KvmAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the probe saw; `why` is a sentence for `doctor`. Worth remembering for as long as the boot id stays."""

    works: bool
    why: str


async def probe_kvm(
    runtime: Runtime, *, emulator: str = "qemu-system-x86_64", device: Path = Path("/dev/kvm")
) -> KvmAnswer:
    """Boot the sector under KVM and see. At most `LIMIT_S` seconds."""
    if not device.exists():
        return KvmAnswer(works=False, why=f"{device} is not there: the processor's virtualisation is off, or hidden.")
    with tempfile.TemporaryDirectory(prefix="pileus-kvm-") as directory:
        sector = Path(directory) / "sector"
        sector.write_bytes(BOOT_SECTOR)
        return await _boot(runtime, emulator, sector)


async def _boot(runtime: Runtime, emulator: str, sector: Path) -> KvmAnswer:
    try:
        ended = await runtime.run_command(_command(emulator, sector), timeout_s=LIMIT_S)
    except TimeoutError:
        return KvmAnswer(works=False, why=f"KVM is there, but a boot of one sector took longer than {LIMIT_S:.0f} s.")
    except FileNotFoundError:
        return KvmAnswer(works=False, why=f"{emulator} is not installed.")
    if ended.code == EXIT_CODE:
        return KvmAnswer(works=True, why="KVM works: a guest ran.")
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    return KvmAnswer(works=False, why=f"KVM is there, but a guest ended with {ended.code}: {' '.join(said[:1])[:200]}")


def _command(emulator: str, sector: Path) -> list[str]:
    return [
        emulator,
        *("-accel", "kvm", "-cpu", "host", "-machine", "pc", "-m", "16", "-nodefaults", "-display", "none"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        *("-drive", f"file={sector},format=raw,if=ide,readonly=off"),
    ]
