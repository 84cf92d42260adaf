"""Starting a cloud: look first, take the state directory, run until asked to stop.

`run` is the cloud's own process. `up` starts that process beside itself, waits until it answers, and does the demo.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pileus import running
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.foundation.state_directory import StateDirectory
from pileus.settings import CloudSettings

if TYPE_CHECKING:
    from pileus.doctor import Finding

READY_TIMEOUT_S = 120.0


def doctor(state_dir: Path, hypervisor: str, port: int) -> int:
    """Look at the machine and print what it lacks."""
    findings = _examine(state_dir, hypervisor, port)
    from pileus.doctor import exit_code, render

    click.echo(render(findings))
    return exit_code(findings)


def _examine(state_dir: Path, hypervisor: str, port: int) -> "list[Finding]":
    from pileus.doctor import Wish, examine

    async def look() -> "list[Finding]":
        runtime = Runtime("doctor")
        try:
            return await examine(Wish(hypervisor=hypervisor, port=port, state=state_dir), runtime)
        finally:
            await runtime.stop()

    return asyncio.run(look())


def up(settings: CloudSettings, *, demo: bool, detach: bool) -> int:
    """Start the cloud in a process of its own, or find it running; then the demo, then the line that says it is up."""
    from pileus.foundation.detach import Detached, end

    state = settings.state_dir
    started: Detached | None = None
    if running.running_pid(state) is None:
        if not _is_fit(settings):
            return 1
        state.mkdir(parents=True, exist_ok=True)
        if not any(state.iterdir()):
            StateDirectory(state).release()
        started = Detached(_command(settings), state / running.LOG)
        if not started.wait_until(lambda: running.is_ready(state), READY_TIMEOUT_S):
            click.echo(f"pileus: the cloud did not start. The end of {state / running.LOG}:", err=True)
            click.echo(_tail(state / running.LOG), err=True)
            return 1
    facts = running.facts(state)
    click.echo(f"Pileus is up at {facts.url} (region {facts.region}, hypervisor {facts.hypervisor}).")
    if demo:
        from pileus.demo import run_demo

        run_demo(state, click.echo)
    if detach or started is None:
        return 0
    click.echo("Ctrl-C stops it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        end(started.pid, 30.0)
    return 0


def _command(settings: CloudSettings) -> list[str]:
    command = [
        sys.executable, "-m", "pileus", "up", "--state", str(settings.state_dir), "--address", settings.address,
        "--port", str(settings.port), "--hypervisor", settings.hypervisor, "--hosts", str(settings.hosts),
    ]  # fmt: skip
    if settings.public_url:
        command += ["--public-url", settings.public_url]
    for name, value in settings.hypervisor_options.items():
        command += ["--hypervisor-option", f"{name}={value}"]
    return command


def _is_fit(settings: CloudSettings) -> bool:
    """Whether nothing that is needed is missing; else the findings are printed."""
    findings = _examine(settings.state_dir, settings.hypervisor, settings.port)
    if not any(finding.stops for finding in findings):
        return True
    from pileus.doctor import render

    click.echo(render(findings), err=True)
    return False


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"


def run(settings: CloudSettings) -> int:
    """Be the cloud, until SIGTERM or SIGINT."""
    import uvloop

    try:
        directory = StateDirectory(settings.state_dir)
    except Error as error:
        click.echo(f"pileus: {error.text}", err=True)
        return 1
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_live(settings))
    except Error as error:
        click.echo(f"pileus: {error.text}" + (f" ({error.log})" if error.log else ""), err=True)
        return 1
    finally:
        directory.release()


async def _live(settings: CloudSettings) -> int:
    from pileus.foundation.logs import set_up
    from pileus.wiring import Cloud

    set_up()
    runtime = Runtime(f"pileus@{settings.host_name or 'localhost'}")
    began = runtime.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cloud = Cloud(settings, runtime)
    try:
        await cloud.start()
        click.echo(
            f"Pileus is up at {cloud.url} (region {settings.region}, hypervisor {settings.hypervisor}), "
            f"{runtime.monotonic() - began:.2f} s."
        )
        sys.stdout.flush()
        await stop.wait()
    finally:
        logging.getLogger("pileus").info("stopping")
        await cloud.stop()
        await runtime.stop()
    return 0
