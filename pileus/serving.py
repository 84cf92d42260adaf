"""Running some parts of a cloud: `pileus serve`, and what a cluster needs before its first process starts."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from pileus.foundation import config_file
from pileus.foundation.config_file import read_config
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.wiring import opening
from pileus.wiring.settings import Settings

_HEAD = """Settings of Pileus in the shape of many processes: pileus serve PART[,PART...] --config FILE

Every setting, what it means, and its default. The environment goes before this file:
PILEUS_COMPUTE__CPU_RATIO=2.0 is cpu_ratio of [compute]. Printed by: pileus settings"""


def sample() -> str:
    """The sample file."""
    return config_file.sample(Settings, _HEAD)


def load(config: Path | None, said: dict[str, Any] | None = None) -> Settings:
    """The settings of a file and the environment, with what the command line says. Raises: WrongConfig, NotPrivate."""
    settings = read_config(Settings, config, os.environ)
    given = {name: value for name, value in (said or {}).items() if value is not None}
    settings = replace(settings, listen=replace(settings.listen, **given))
    opening.check(settings, config)
    return settings


def serve(
    settings: Settings, names: list[str], name: str, *, runtime_of: type[Runtime] = Runtime, open_bus: Any = None
) -> int:
    """Be one process of the cloud, until SIGTERM or SIGINT; for tests, with another runtime and way to the bus."""
    import uvloop

    from pileus.wiring.served import check_parts

    parts = check_parts(names)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_live(settings, parts, name, runtime_of, open_bus))
    except Error as error:
        click.echo(f"pileus: {error.text}" + (f" ({error.log})" if error.log else ""), err=True)
        return 1


async def _live(settings: Settings, parts: tuple[str, ...], name: str, runtime_of: type[Runtime], open_bus: Any) -> int:
    from pileus.foundation.logs import set_up
    from pileus.foundation.machine import raise_file_limit
    from pileus.wiring.served import Process

    set_up()
    raise_file_limit()
    host = settings.host.host_name or os.uname().nodename
    runtime = runtime_of(name or f"{'+'.join(parts)}@{host}/{os.getpid()}")
    began = runtime.monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    process = Process(settings, parts, runtime, open_bus)
    try:
        await process.start()
        runtime.settle()
        where = f" at {process.url}" if process.url else ""
        click.echo(f"Pileus serves {', '.join(parts)}{where} as {runtime.name}, {runtime.monotonic() - began:.2f} s.")
        sys.stdout.flush()
        await stop.wait()
    finally:
        logging.getLogger("pileus").info("stopping")
        await process.stop()
        await runtime.stop()
    return 0


def upgrade(settings: Settings) -> None:
    """Make the tables, the secrets and the cloud's own users, or bring them to this version."""
    from pileus.wiring.preparing import prepare

    asyncio.run(prepare(settings))
    click.echo(f"The database is at this version; the secrets are in {opening.secrets_path(settings)}.")


def end_tokens(settings: Settings) -> None:
    """Refuse every token there is: the database was put back to an older moment."""
    from pileus.wiring.preparing import end_tokens

    asyncio.run(end_tokens(settings))
    click.echo("Every token has ended: whoever works with the cloud logs in again.")


def enroll(settings: Settings, hosts: list[str], out: Path, backends: list[str], rabbitmq: Path | None) -> None:
    """Give hosts accounts of their own, and write their keys into a file for them."""
    from pileus.wiring.preparing import enroll_hosts

    asyncio.run(enroll_hosts(settings, hosts, out, backends=backends, rabbitmq=rabbitmq))
    click.echo(f"{out} is the secrets.file of {', '.join(hosts)}: bring it there, mode 0600, and keep no copy.")
    if rabbitmq is not None:
        click.echo(f"Let the broker know them: rabbitmqctl import_definitions {rabbitmq}")
