"""The systemd units: systemd reads every line of them, and what they start is a command line that `pileus` takes."""

import os
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from pileus import cli
from tests.house import rules

UNITS = sorted((rules.ROOT / "packaging" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAM = "/opt/pileus/.venv/bin/pileus"
LIBVIRT = "[Service]\nExecStart=/bin/true\n"


def settings(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_systemd_finds_no_fault_with_any_line(tmp_path: Path) -> None:
    """Where Pileus is installed, beside libvirt's own units."""
    for unit in UNITS:
        name = unit.name.replace("@.", "@one.")
        (tmp_path / name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    (tmp_path / "libvirtd.service").write_text(LIBVIRT)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    path = {"SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], cwd=tmp_path, env=os.environ | path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, [line for line in done.stderr.splitlines() if "pileus" in line]) == (0, [])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_a_unit_starts_is_a_command_of_pileus(unit: Path) -> None:
    said = settings(unit)["ExecStart"]
    for mark, value in (("${PARTS}", "compute-api,scheduler"), ("%i", "one"), ("%H", "here")):
        said = said.replace(mark, value)
    program, command, *words = shlex.split(said)
    assert (program, command) == (PROGRAM, "serve")
    with cli.serve.make_context("serve", words) as context:
        assert isinstance(context, click.Context)
        assert context.params["parts"] == "compute-api,scheduler"
        assert context.params["config"] == Path("/etc/pileus/pileus.toml")
        assert context.params["name"] == "one@here"


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_part_whose_database_is_away_for_hours_is_started_again_for_ever(unit: Path) -> None:
    said = settings(unit)
    assert (said["Restart"], said["RestartSec"], said["StartLimitIntervalSec"]) == ("always", "1", "0")


def test_a_host_that_ends_leaves_its_guests_alone() -> None:
    (host,) = (unit for unit in SERVICES if unit.name.startswith("pileus-host"))
    assert settings(host)["KillMode"] == "process"


def test_two_kinds_of_parts_on_one_machine_have_a_state_directory_each() -> None:
    held = [settings(unit)["StateDirectory"] for unit in SERVICES]
    assert len(set(held)) == len(held) == 2
