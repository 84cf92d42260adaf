"""What a fake guest writes to its serial console: a boot that never was, the same each time it is asked for.

Nothing is stored: the text follows from the guest's id, its shape and how often it booted.
"""

import asyncio
import zlib
from collections.abc import Iterator, Sequence

KEPT_BOOTS = 3

_BOOT = (  # seconds since the boot, line
    (0.0, "Linux version 6.1.0-32-cloud-amd64 (build@pileus) (gcc 12.2.0) #1 SMP PREEMPT_DYNAMIC"),
    (0.0, "Command line: BOOT_IMAGE=/vmlinuz root=LABEL=root ro console=tty0 console=ttyS0,115200n8"),
    (0.0, "BIOS-provided physical RAM map:"),
    (0.0, "BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable"),
    (0.0, "BIOS-e820: [mem 0x0000000000100000-{ram_end:#018x}] usable"),
    (0.0, "NX (Execute Disable) protection: active"),
    (0.0, "SMBIOS 2.8 present."),
    (0.0, "DMI: OpenStack Foundation OpenStack Compute, BIOS 1.16.2 04/01/2014"),
    (0.0, "Hypervisor detected: fake"),
    (0.004, "tsc: Detected 2294.608 MHz processor"),
    (0.012, "ACPI: RSDP 0x00000000000F5AB0 000014 (v00 BOCHS )"),
    (0.021, "Memory: {ram_kib}K/{ram_kib}K available"),
    (0.021, "smpboot: Allowing {vcpus} CPUs, 0 hotplug CPUs"),
    (0.094, "smp: Brought up 1 node, {vcpus} CPU{plural}"),
    (0.113, "NET: Registered PF_NETLINK/PF_ROUTE protocol family"),
    (0.240, "PCI: Using configuration type 1 for base access"),
    (0.412, "Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled"),
    (0.538, "virtio_blk virtio2: [vda] {sectors} 512-byte logical blocks ({disk_gib} GiB)"),
    (0.541, " vda: vda1"),
    (0.602, "virtio_net virtio0: {ports} interface{ports_plural}"),
    (0.733, "EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none."),
    (0.861, "systemd[1]: Hostname set to <{hostname}>."),
)
_USER = (
    "[  OK  ] Reached target Local File Systems.",
    "[  OK  ] Started Network Configuration.",
    "[  OK  ] Reached target Network is Online.",
    "{hostname} cloud-init: Cloud-init v. 22.4.2 running 'modules:final'",
    "{hostname} cloud-init: Cloud-init v. 22.4.2 finished. Datasource DataSourceOpenStack",
    "[  OK  ] Reached target Cloud-init target.",
    "",
    "Debian GNU/Linux 12 {hostname} ttyS0",
    "",
    "{hostname} login: ",
)
_POWER_DOWN = (
    "         Stopping User Login Management...",
    "[  OK  ] Reached target System Power Off.",
    "reboot: Power down",
)
_RESTART = (
    "         Stopping User Login Management...",
    "[  OK  ] Reached target System Reboot.",
    "reboot: Restarting system",
)
_PANIC = ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", "---[ end Kernel panic ]---")

ENDINGS = {"off": _POWER_DOWN, "reboot": _RESTART, "crash": _PANIC, "": ()}


def console_text(
    server_id: str, *, hostname: str, vcpus: int, ram_mib: int, disk_gib: int, ports: int, boots: int, ending: str
) -> bytes:
    """The last boots of a guest; `ending` says how the last one ended: "off", "crash", or "" while it runs."""
    facts = {
        "hostname": hostname,
        "vcpus": vcpus,
        "plural": "" if vcpus == 1 else "s",
        "ram_kib": ram_mib * 1024,
        "ram_end": ram_mib * (1 << 20) - 1,
        "disk_gib": disk_gib,
        "sectors": disk_gib << 21,
        "ports": ports,
        "ports_plural": "" if ports == 1 else "s",
    }
    jitter = zlib.crc32(server_id.encode()) % 997 / 10_000
    lines: list[str] = []
    for boot in range(max(1, boots - KEPT_BOOTS + 1), boots + 1):
        lines += _one_boot(facts, jitter)
        lines += _end(lines, ENDINGS[ending] if boot == boots else _RESTART)
    return "\n".join(lines).encode()


def _one_boot(facts: dict[str, object], jitter: float) -> Iterator[str]:
    for seconds, line in _BOOT:
        stamp = seconds * (1 + jitter) if seconds else 0.0
        yield f"[{stamp:12.6f}] " + line.format(**facts)
    for line in _USER:
        yield line.format(**facts)


def _end(lines: Sequence[str], ending: Sequence[str]) -> list[str]:
    """The prompt's line stays open while the guest runs; whatever follows begins a new one."""
    return [*ending, ""] if ending and lines else []


class FakeTerminal:
    """A serial console at which somebody may type; nobody can log in."""

    def __init__(self, shown: bytes, hostname: str):
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._prompt = f"{hostname} login: ".encode()
        self._typed = bytearray()
        self._output.put_nowait(shown.replace(b"\n", b"\r\n"))

    async def read(self) -> bytes:
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        for byte in data:
            if byte in b"\r\n":
                answer = b"\r\nLogin incorrect\r\n" if self._typed else b"\r\n"
                self._output.put_nowait(answer + self._prompt)
                self._typed.clear()
            elif len(self._typed) < 256:
                self._typed.append(byte)
                self._output.put_nowait(bytes([byte]))

    async def close(self) -> None:
        self._output.put_nowait(b"")
