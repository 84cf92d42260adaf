"""`pileus serve` with traps at its seams: python -m tests.faults.member serve PART[,PART...] --config FILE ..."""

import sys
from pathlib import Path
from typing import Any

import click

from pileus import serving
from pileus.foundation.runtime import Runtime
from pileus.wiring.bus import open_bus
from pileus.wiring.settings import Settings
from tests.faults.trap import TrappedRuntime, TrappedTransport


async def open_trapped(settings: Settings, runtime: Runtime) -> Any:
    assert isinstance(runtime, TrappedRuntime)
    return TrappedTransport(await open_bus(settings, runtime), runtime)


@click.group()
def main() -> None: ...


@main.command()
@click.argument("parts")
@click.option("--config", type=click.Path(path_type=Path), required=True)
@click.option("--name", required=True)
@click.option("--port", type=int, required=True)
def serve(parts: str, config: Path, name: str, **given: Any) -> None:
    settings = serving.load(config, given)
    sys.exit(
        serving.serve(settings, parts.split(","), name, runtime_of=TrappedRuntime, open_bus=open_trapped)
    )  # fmt: skip


if __name__ == "__main__":
    main()
