"""`python -m pileus.guest_image FILE.qcow2`: build the small guest image by hand."""

import asyncio
import sys
from pathlib import Path

import click

from pileus.foundation.runtime import Runtime
from pileus.guest_image.build import PASSWORD, USER, BuildFailed, build_image


@click.command()
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--user", default=USER, show_default=True, help="The account to log in with.")
@click.option("--password", default=PASSWORD, show_default=True, help="Its password.")
@click.option(
    "--kernel-dir", type=click.Path(file_okay=False, path_type=Path), help="Put vmlinuz and initrd there too."
)
def main(output: Path, user: str, password: str, kernel_dir: Path | None) -> None:
    """Build the small guest image into OUTPUT (qcow2), from the Debian packages that apt knows on this machine."""
    try:
        asyncio.run(_build(output, user, password, kernel_dir))
    except BuildFailed as failure:
        click.echo(f"pileus: {failure}", err=True)
        sys.exit(1)


async def _build(output: Path, user: str, password: str, kernel_dir: Path | None) -> None:
    runtime = Runtime("guest-image")
    try:
        await build_image(runtime, output, user=user, password=password, kernel_dir=kernel_dir, say=click.echo)
    finally:
        await runtime.stop()


if __name__ == "__main__":
    main()
