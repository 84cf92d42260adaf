"""Debian packages, taken from apt and unpacked beside the system: nothing is installed and no root is needed."""

import re
from collections.abc import Sequence
from pathlib import Path

from pileus.foundation.errors import Unavailable
from pileus.foundation.runtime import Runtime

GUEST = (
    "busybox", "dropbear-bin", "libtomcrypt1", "libtommath1", "libcrypt1", "zlib1g", "libc6", "libgmp10",
    "sudo", "libpam0g", "libpam-modules", "libaudit1", "libcap-ng0", "libselinux1", "libpcre2-8-0",
    "e2fsprogs", "libext2fs2", "libcom-err2", "libblkid1", "libuuid1", "libss2", "dosfstools",
    "util-linux", "libsmartcols1", "libmount1", "libtinfo6", "libudev1", "libcap2", "libgcc-s1",
)  # fmt: skip
INITRD = ("busybox-static",)
TOOLS = ("mtools", "syslinux", "syslinux-common", "syslinux-efi")

DOWNLOAD_TIMEOUT_S = 900.0


class BuildFailed(Unavailable):
    """The guest image could not be made on this machine."""

    code = "guest-image.build"
    message = "The small guest image cannot be built: {why}. {mend}"


async def tool(
    runtime: Runtime, argv: Sequence[str | Path], *, stdin: bytes = b"", env: dict[str, str] | None = None
) -> bytes:
    """Run one command of the build and return what it printed.

    Raises: BuildFailed with the command's own last words.
    """
    line = [str(word) for word in argv]
    try:
        done = await runtime.run_command(line, stdin=stdin, env=env, timeout_s=DOWNLOAD_TIMEOUT_S)
    except FileNotFoundError as missing:
        raise BuildFailed(why=f"the command {line[0]} is missing", mend="Run `make setup`.") from missing
    except TimeoutError as slow:
        raise BuildFailed(why=str(slow), mend="Try again.") from slow
    if done.code != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise BuildFailed(
            why=f"{' '.join(line[:4])} ended with {done.code}: {words[-1] if words else 'no message'}",
            mend="See the message above.",
            log=done.stderr.decode(errors="replace"),
        )
    return done.stdout


async def unpack(runtime: Runtime, names: Sequence[str], downloads: Path, into: Path) -> None:
    """Download the packages `names` from apt's sources and unpack them into one tree."""
    downloads.mkdir(parents=True, exist_ok=True)
    into.mkdir(parents=True, exist_ok=True)
    apt = ["env", f"--chdir={downloads}", "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names]
    try:
        await tool(runtime, apt)
    except BuildFailed as failure:
        raise BuildFailed(
            why=f"apt cannot download {', '.join(names[:3])} ...: {failure.facts['why']}",
            mend="Run `apt-get update` as root and try again; Debian 12 (amd64) is what the image is made from.",
        ) from failure
    for name in names:
        archives = sorted(downloads.glob(f"{name}_*.deb"))
        await tool(runtime, ["dpkg-deb", "-x", archives[-1], into])


async def kernel_package(runtime: Runtime) -> str:
    """The package that Debian's cloud kernel is in today, as `linux-image-6.1.0-32-cloud-amd64`."""
    printed = (await tool(runtime, ["apt-cache", "depends", "linux-image-cloud-amd64"])).decode()
    found = re.search(r"Depends: (linux-image-[0-9]\S+)", printed)
    if found is None:
        raise BuildFailed(why="apt knows no cloud kernel", mend="Run `apt-get update` as root and try again.")
    return found[1]
