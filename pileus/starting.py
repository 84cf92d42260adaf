"""Starting a cloud: look first, take the state directory, run until asked to stop.

`run` is the cloud's own process. `up` starts that process beside itself, waits until it answers, and does the demo.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from pileus import running
from pileus.foundation.errors import Conflict, Error
from pileus.foundation.runtime import Runtime
from pileus.foundation.state_directory import StateDirectory
from pileus.settings import CloudSettings, embedded

if TYPE_CHECKING:
    from pileus.doctor import Finding
    from pileus.foundation.detach import Detached

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


class OtherHypervisor(Conflict):
    code = "cloud.other-hypervisor"
    message = "The cloud in {path} has hypervisor {kept}. Leave --hypervisor away, or name another --state."


def settle(state_dir: Path, said: Mapping[str, Any]) -> CloudSettings:
    """What a cloud starts with: what is said now, else as it was when it was last up, else the defaults.

    Raises: OtherHypervisor.
    """
    if not (state_dir / running.FACTS).exists():
        return embedded(state_dir, said)
    known = msgspec.structs.asdict(running.facts(state_dir))
    for name in ("url", "secrets_file", "authority"):
        del known[name]
    kept = known["hypervisor"]
    if said.get("hypervisor", kept) != kept:
        raise OtherHypervisor(path=state_dir, kept=kept)
    return embedded(state_dir, known | dict(said))


def doctor(settings: CloudSettings) -> int:
    """Look at the machine and print what it lacks."""
    findings = _examine(settings)
    from pileus.doctor import exit_code, render

    click.echo(render(findings))
    return exit_code(findings)


def _examine(settings: CloudSettings) -> "list[Finding]":
    from pileus.doctor import Wish, examine

    wish = Wish(hypervisor=settings.host.hypervisor, port=settings.listen.port, state=settings.state_dir)

    async def look() -> "list[Finding]":
        runtime = Runtime("doctor")
        try:
            return await examine(wish, runtime)
        finally:
            await runtime.stop()

    return asyncio.run(look())


def up(settings: CloudSettings, *, demo: bool, detach: bool) -> int:
    """Start the cloud in a process of its own, or find it running; say so; then the demo."""
    from pileus.foundation.detach import Detached

    state = settings.state_dir
    started: Detached | None = None
    if running.running_pid(state) is None:
        if not _is_fit(settings):
            return 1
        started = _start(settings)
        if started is None:
            return 1
    click.echo(_greeting(state, started.ready_after_s if started else None))
    if demo:
        from pileus.demo import run_demo

        run_demo(state, click.echo)
    return 0 if detach or started is None else _stay(started, state)


def _start(settings: CloudSettings) -> "Detached | None":
    """The cloud's process once it answers; None, and the end of its log on the terminal, when it does not."""
    from pileus.foundation.detach import Detached

    state = settings.state_dir
    state.mkdir(parents=True, exist_ok=True)
    if not any(state.iterdir()):
        StateDirectory(state).release()
    if settings.host.hypervisor != "fake":
        click.echo("Starting ...")  # libvirt looks at every QEMU of the machine first: some seconds, once
    log = state / running.LOG
    known = log.stat().st_size if log.exists() else 0
    started = Detached(_command(settings), log)
    if started.wait_until(lambda: running.is_ready(state), READY_TIMEOUT_S):
        return started
    click.echo(f"pileus: the cloud did not start. Its log, {log}, says:", err=True)
    click.echo("\n".join(log.read_text(errors="replace")[known:].splitlines()[-15:]), err=True)
    return None


def _greeting(state: Path, took_s: float | None) -> str:
    facts = running.facts(state)
    took = "" if took_s is None else f", {took_s:.1f} s"
    return f"Pileus is up at {facts.url} (region {facts.region}, hypervisor {facts.hypervisor}){took}."


def _stay(started: "Detached", state: Path) -> int:
    """Wait for the cloud's end; who stops this, stops the cloud."""
    from pileus.foundation.detach import end

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    click.echo("Ctrl-C stops it.")
    try:
        code = started.wait()
    except KeyboardInterrupt:
        return 0 if end(started.pid, STOP_TIMEOUT_S) else 1
    if code:
        click.echo(f"pileus: the cloud has ended with {code}. Look into {state / running.LOG}", err=True)
    return int(code != 0)


def _command(settings: CloudSettings) -> list[str]:
    command = [
        sys.executable, "-m", "pileus", "up", "--examined", "--state", str(settings.state_dir),
        "--address", settings.listen.address, "--port", str(settings.listen.port),
        "--hypervisor", settings.host.hypervisor, "--hosts", str(settings.host.hosts),
    ]  # fmt: skip
    if settings.cloud.url:
        command += ["--public-url", settings.cloud.url]
    for name, value in settings.host.hypervisor_options.items():
        command += ["--hypervisor-option", f"{name}={value}"]
    return command


def _is_fit(settings: CloudSettings) -> bool:
    """Whether nothing that is needed is missing; else the findings are printed."""
    findings = _examine(settings)
    if not any(finding.stops for finding in findings):
        return True
    from pileus.doctor import render

    click.echo(render(findings), err=True)
    return False


def run(settings: CloudSettings, *, is_examined: bool) -> int:
    """Be the cloud, until SIGTERM or SIGINT."""
    import uvloop

    if not is_examined and settings.host.hypervisor != "fake" and not _is_fit(settings):
        return 1
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
    from pileus.foundation.machine import raise_file_limit
    from pileus.wiring.embedded import Cloud

    set_up()
    raise_file_limit()
    runtime = Runtime(f"pileus@{settings.host.host_name or 'localhost'}")
    began = runtime.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    cloud = Cloud(settings, runtime)
    try:
        await cloud.start()
        runtime.settle()
        click.echo(
            f"Pileus is up at {cloud.url} (region {settings.cloud.region}, hypervisor {settings.host.hypervisor}), "
            f"{runtime.monotonic() - began:.2f} s."
        )
        sys.stdout.flush()
        await stop.wait()
    finally:
        logging.getLogger("pileus").info("stopping")
        await cloud.stop()
        await runtime.stop()
    return 0
