"""The command line: runs the cloud and looks into it. Users' work is done with the `openstack` command.

Exit codes: 0 done, 1 failed, 2 wrong usage. Every failure says what to do.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from pileus import __version__, running
from pileus.foundation.errors import Error

F = TypeVar("F", bound=Callable[..., Any])

HYPERVISORS = click.Choice(["libvirt", "fake"])


def state_option(command: F) -> F:
    return click.option(
        "--state", "state_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
        help="The directory that holds everything of this cloud.",
    )(command)  # fmt: skip


def config_option(command: F) -> F:
    return click.option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), default=None,
        help="The configuration of this process (TOML); the environment goes before it.",
    )(command)  # fmt: skip


class _Commands(click.Group):
    """Turns a failure that we know into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Error as error:
            click.echo(f"pileus: {error.text}", err=True)
            ctx.exit(1)


def _state(state_dir: Path | None) -> Path:
    return (state_dir or running.default_state()).absolute()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="pileus %(version)s")
def main() -> None:
    """A complete cloud that speaks the OpenStack APIs."""


@main.command()
@state_option
@click.option("--address", help="The address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on. [default: 8800]")
@click.option("--public-url", help="How clients reach the cloud, if not by --address and --port.")
@click.option("--hypervisor", type=HYPERVISORS, help="What runs guests. [default: libvirt]")
@click.option("--hosts", type=click.IntRange(1, 10000), help="How many fake hosts. [default: 1]")
@click.option("--hypervisor-option", "options", multiple=True, metavar="NAME=VALUE", help="For the hypervisor driver.")
@click.option("--demo", is_flag=True, help="Make an image, a network, a key and a first server.")
@click.option("--detach", is_flag=True, help="Return once the cloud is up; it goes on by itself.")
@click.option("--examined", is_flag=True, hidden=True)  # who starts us has looked at the machine
def up(
    state_dir: Path | None, options: tuple[str, ...], *, demo: bool, detach: bool, examined: bool, **given: Any
) -> None:
    """Start the cloud, or continue the one that the state directory holds.

    What is not said here is as it was when this cloud was last up.
    """
    from pileus import starting

    said = {name: value for name, value in given.items() if value is not None}
    if options:
        said["hypervisor_options"] = _options(options)
    settings = starting.settle(_state(state_dir), said)
    if settings.host.hosts > 1 and settings.host.hypervisor != "fake":
        raise click.UsageError("--hosts is for the fake hypervisor: a real machine is one host.")
    if not detach and not demo:
        sys.exit(starting.run(settings, is_examined=examined))
    sys.exit(starting.up(settings, demo=demo, detach=detach))


def _options(options: tuple[str, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            raise click.UsageError(f"--hypervisor-option {option!r} is not NAME=VALUE.")
        found[name] = value
    return found


@main.command()
@state_option
def down(state_dir: Path | None) -> None:
    """Stop the cloud. Its state stays, and guests go on."""
    from pileus.foundation.detach import end
    from pileus.starting import STOP_TIMEOUT_S

    state = _state(state_dir)
    pid = running.running_pid(state)
    if pid is None:
        click.echo(f"No cloud runs on {state}.")
        return
    if not end(pid, STOP_TIMEOUT_S):
        raise Error(f"Process {pid} does not end; look into {state / running.LOG}, then: kill -9 {pid}")
    click.echo(f"The cloud on {state} is down; 'pileus up' continues it.")


@main.command()
@state_option
@click.option("--json", "as_json", is_flag=True)
def status(state_dir: Path | None, *, as_json: bool) -> None:
    """Show the parts of the cloud and how they are."""
    found = running.ask(_state(state_dir), "GET", "/v1/status")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    click.echo(f"pileus {found['version']}, region {found['region']}, up for {found['up_s']:.0f} s at {found['url']}")
    if found["trouble"]:
        click.echo(f"  {found['trouble']}")
    for part in found["parts"]:
        click.echo(f"  {part['name']:<14} {part['state']}")
    for process in found.get("processes", ()):
        click.echo(_process_line(process))
    if found["trouble"]:  # nobody could be asked for the rest
        return
    for host in found["hosts"]:
        state = "up" if host["is_alive"] else "down"
        click.echo(
            f"  host {host['host']:<20} {state}{', disabled' if host['is_disabled'] else ''}, zone {host['zone']}"
        )
    for topic, depth in found["queues"].items():
        if topic == "pileus.parked":
            click.echo(f"  {depth} messages are parked, for nobody could handle them: the log says which and why")
        else:
            click.echo(f"  queue {topic}: {depth} messages wait")
    click.echo(f"  long work not ended: {found['open_flows']}")
    for flow_id in found["late_flows"]:
        click.echo(f"  late: flow {flow_id}; see: pileus flows show {flow_id}")


def _process_line(process: dict[str, Any]) -> str:
    where = f" at {process['url']}" if process["url"] else ""
    said = f"heartbeat {process['last_heartbeat_s']:.0f} s ago"
    return (
        f"  {process['state']:<8}{','.join(process['parts'])}{where}, host {process['host']}, {process['name']}, "
        f"pid {process['pid']}, version {process['version']}, up for {process['up_s']:.0f} s, {said}"
    )


@main.command()
@state_option
@click.option("--hypervisor", type=HYPERVISORS, help="What shall run guests. [default: libvirt]")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on. [default: 8800]")
def doctor(state_dir: Path | None, **given: Any) -> None:
    """Say what this machine lacks, and how to mend it. Changes nothing."""
    from pileus import starting

    said = {name: value for name, value in given.items() if value is not None}
    sys.exit(starting.doctor(starting.settle(_state(state_dir), said)))


@main.command()
@state_option
def openrc(state_dir: Path | None) -> None:
    """Print the administrator's credentials as shell lines: eval "$(pileus openrc)"."""
    from pileus import credentials

    click.echo(credentials.openrc(_state(state_dir)), nl=False)


@main.command("clouds-yaml")
@state_option
@click.option("--name", default="pileus", show_default=True, help="What the cloud is called in the file.")
def clouds_yaml(state_dir: Path | None, name: str) -> None:
    """Print the administrator's credentials as a clouds.yaml."""
    from pileus import credentials

    click.echo(credentials.clouds_yaml(_state(state_dir), name), nl=False)


@main.command()
@click.argument("server")
@state_option
@click.option("--json", "as_json", is_flag=True)
@click.option("--follow", is_flag=True, help="Go on until the launch has ended.")
def trace(server: str, state_dir: Path | None, *, as_json: bool, follow: bool) -> None:
    """Show the 28 steps of SERVER's launch (its id or name) as they happened."""
    from pileus import tracing

    tracing.show(_state(state_dir), server, as_json=as_json, follow=follow)


@main.group()
def flows() -> None:
    """Long work: what is under way, what is stuck."""


@flows.command("list")
@state_option
@click.option("--json", "as_json", is_flag=True)
def flows_list(state_dir: Path | None, *, as_json: bool) -> None:
    """Show all long work that has not ended."""
    found = running.ask(_state(state_dir), "GET", "/v1/flows")["flows"]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    for flow in found:
        at = flow["steps"][-1]["name"] if flow["steps"] else "-"
        click.echo(
            f"{flow['id']}  {flow['service']:<8} {flow['name']:<18} {flow['state']:<8} at {at}  {flow['subject']}"
        )
    if not found:
        click.echo("Nothing is under way.")


@flows.command("show")
@click.argument("flow_id")
@state_option
def flows_show(flow_id: str, state_dir: Path | None) -> None:
    """Show one flow with its steps."""
    found = running.ask(_state(state_dir), "GET", f"/v1/flows/{flow_id}")["flow"]
    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


@flows.command("resume")
@click.argument("flow_id")
@state_option
def flows_resume(flow_id: str, state_dir: Path | None) -> None:
    """Let a stuck flow try its undo again."""
    found = running.ask(_state(state_dir), "POST", f"/v1/flows/{flow_id}/resume")["flow"]
    click.echo(f"Flow {flow_id} is {found['state']}.")


@flows.command("abandon")
@click.argument("flow_id")
@state_option
def flows_abandon(flow_id: str, state_dir: Path | None) -> None:
    """Give a stuck flow up; what it left is yours to remove: see 'pileus audit'."""
    found = running.ask(_state(state_dir), "POST", f"/v1/flows/{flow_id}/abandon")["flow"]
    click.echo(f"Flow {flow_id} is {found['state']}.")


@main.command()
@state_option
@click.option("--json", "as_json", is_flag=True)
def audit(state_dir: Path | None, *, as_json: bool) -> None:
    """Check every invariant against what drivers and services really hold. Exits with 1 when one is broken."""
    found = running.ask(_state(state_dir), "GET", "/v1/audit")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif found["clean"]:
        click.echo("Clean: every invariant holds.")
    else:
        for finding in found["findings"]:
            click.echo(f"{finding['service']}: {finding['invariant']}: {finding['subject']}: {finding['found']}")
            click.echo(f"    mend: {finding['mend']}")
    sys.exit(0 if found["clean"] else 1)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@state_option
def backup(file: Path, state_dir: Path | None) -> None:
    """Write everything of the cloud but its guests' disks into FILE, also while it runs."""
    from pileus import archive

    archive.backup(_state(state_dir), file, click.echo)


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@state_option
def restore(file: Path, state_dir: Path | None) -> None:
    """Bring a backup back into a new state directory."""
    from pileus import archive

    archive.restore(file, _state(state_dir), click.echo)


@main.group()
def db() -> None:
    """The cloud's database."""


@db.command()
@state_option
@config_option
def upgrade(state_dir: Path | None, config: Path | None) -> None:
    """Bring the tables to this version: of an embedded cloud (a copy is kept), or of a cluster by --config.

    For a cluster it also makes the file of secrets and the cloud's own users, when they are not there yet.
    """
    if config is not None:
        from pileus import serving

        serving.upgrade(serving.load(config))
        return
    from pileus import archive

    archive.upgrade(_state(state_dir), click.echo)


@db.command("end-tokens")
@config_option
def end_tokens(config: Path | None) -> None:
    """End every token of a cluster: after its database was put back to an older moment."""
    from pileus import serving

    serving.end_tokens(serving.load(config))


@main.command()
@click.argument("parts", metavar="PART[,PART...]")
@config_option
@click.option("--name", default="", help="What this process is called in traces and status.")
@click.option("--address", help="The address to listen on, in place of listen.address.")
@click.option("--port", type=click.IntRange(1, 65535), help="The port to listen on, in place of listen.port.")
def serve(parts: str, config: Path | None, *, name: str, **given: Any) -> None:
    """Run some PARTs of a cloud in this process: identity, image, network, volume, placement, compute-api, scheduler,
    conductor, compute-host, volume-host, operations.

    Everything else is in the configuration; docs/pileus.toml.sample shows all of it.
    """
    from pileus import serving

    sys.exit(serving.serve(serving.load(config, given), parts.split(","), name))


@main.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
@config_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--backend", "backends", multiple=True, help="A volume back end that these hosts hold.")
@click.option("--rabbitmq", type=click.Path(path_type=Path, dir_okay=False), help="Write their accounts for RabbitMQ.")
def enroll(
    hosts: tuple[str, ...], config: Path | None, out: Path, backends: tuple[str, ...], rabbitmq: Path | None
) -> None:
    """Give each HOST an account with a new key; --out is the secrets.file of its processes.

    With --rabbitmq the broker's accounts, the control plane's among them, are written for 'rabbitmqctl
    import_definitions': the key is the host's password there, and bus.url names the account: amqps://host.HOST@BROKER.
    """
    from pileus import serving

    serving.enroll(serving.load(config), list(hosts), out, list(backends), rabbitmq)


@main.command()
def settings() -> None:
    """Print every setting with its meaning and its default: docs/pileus.toml.sample."""
    from pileus.serving import sample

    click.echo(sample(), nl=False)
