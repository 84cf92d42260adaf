"""What a module may touch: the machine, a shell, a disk tool; and how long it may be."""

import pytest

from tests.house import rules
from tests.house.test_imports import show


@pytest.fixture(scope="module")
def house() -> list[rules.Module]:
    return rules.package_modules()


def test_domain_is_pure(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.domain_is_pure(mod))


def test_only_foundation_touches_the_machine(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.only_foundation_touches_the_machine(mod))


def test_only_drivers_hold_bindings_to_the_outside(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.only_drivers_hold_bindings(mod))


def test_nothing_runs_text(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.nothing_runs_text(mod))


def test_every_qemu_img_line_names_its_formats(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.disk_tools_name_formats(mod))


def test_no_file_is_too_long() -> None:
    files = [*(rules.ROOT / "pileus").rglob("*.py"), *(rules.ROOT / "tests").rglob("*.py")]
    assert files
    found = (v for p in files for v in rules.is_short_enough(str(p.relative_to(rules.ROOT)), p.read_text()))
    assert not show(found)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "from pathlib import Path",
        "from pileus.foundation.runtime import Runtime",
        "from pileus.foundation import database",
        "async def f(): ...",
        "def f(): return open('x')",
    ],
)
def test_an_impure_domain_is_found(source: str) -> None:
    assert len(list(rules.domain_is_pure(rules.module("pileus.compute.domain.x", source)))) == 1
    assert not list(rules.domain_is_pure(rules.module("pileus.compute.app.x", source)))


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "import random",
        "import secrets",
        "import threading",
        "from concurrent.futures import ThreadPoolExecutor",
        "import subprocess",
        "import socket",
        "import urllib.request",
        "import sqlite3",
        "from asyncio import sleep",
        "from uuid import uuid4",
        "import asyncio\nasync def f(): await asyncio.sleep(1)",
        "import asyncio as a\nasync def f(): await a.to_thread(g)",
        "import asyncio\nasync def f(): await asyncio.create_subprocess_exec('ip')",
        "import asyncio\nasync def f(): await asyncio.open_connection('a', 1)",
        "import asyncio\nasync def f(): await asyncio.wait_for(g(), 3)",
        "import datetime\nx = datetime.datetime.now()",
        "from datetime import datetime as dt, UTC\nx = dt.now(UTC)",
        "from datetime import date\nx = date.today()",
        "import uuid\nx = uuid.uuid4()",
        "import os\nx = os.urandom(4)",
        "import os\nos.execvp('ip', [])",
        "import asyncio\nasync def f(): asyncio.get_running_loop().call_later(1, g)",
        "def f(loop): return loop.run_in_executor(None, g)",
    ],
)
def test_a_hand_on_the_machine_is_found(source: str) -> None:
    assert len(list(rules.only_foundation_touches_the_machine(rules.module("pileus.compute.app.x", source)))) == 1
    assert not list(rules.only_foundation_touches_the_machine(rules.module("pileus.foundation.x", source)))


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nlock, queue = asyncio.Lock(), asyncio.Queue()\nasync def f(): await asyncio.gather()",
        "from datetime import datetime, UTC\nx = datetime.fromtimestamp(0, UTC)",
        "import uuid\nx = uuid.UUID(int=1)",
        "import urllib.parse",
        "async def f(runtime): await runtime.sleep(1)",
        "import os\nx = os.stat('/')",
    ],
)
def test_what_needs_no_machine_is_allowed(source: str) -> None:
    assert not list(rules.only_foundation_touches_the_machine(rules.module("pileus.compute.app.x", source)))


def test_a_binding_outside_the_drivers_is_found() -> None:
    source = "def f():\n    import libvirt"
    assert len(list(rules.only_drivers_hold_bindings(rules.module("pileus.compute.host.x", source)))) == 1
    assert not list(rules.only_drivers_hold_bindings(rules.module("pileus.compute.drivers.libvirt.x", source)))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "x = eval('1')",
        "exec('1')",
        "import os\nos.system('ls')",
        "from os import popen\npopen('ls')",
        "run('ls', shell=True)",
        "run('ls', shell=flag)",
        "import yaml\nyaml.load(text)",
    ],
)
def test_text_that_would_run_is_found(source: str) -> None:
    assert len(list(rules.nothing_runs_text(rules.module("pileus.foundation.x", source)))) == 1


def test_words_that_only_look_like_it_are_allowed() -> None:
    source = "import re\nx = re.compile('a')\nrun(['ls'], shell=False)\nmodel.eval()"
    assert not list(rules.nothing_runs_text(rules.module("pileus.foundation.x", source)))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = ['qemu-img', 'info', path]", "info without -f"),
        ("x = ['qemu-img', 'convert', '-f', 'raw', a, b]", "convert without -O"),
        ("x = ['qemu-img', 'create', '-f', 'qcow2', '-b', base, path]", "-b without -F"),
        ("x = ['prlimit', '--cpu=30', 'qemu-img', 'resize', path, size]", "resize without -f"),
        ("QEMU_IMG = 'qemu-img'", "write the whole line"),
        ("x = ['qemu-img', *rest]", "unknown command"),
    ],
)
def test_a_disk_tool_left_to_guess_is_found(source: str, problem: str) -> None:
    found = list(rules.disk_tools_name_formats(rules.module("pileus.compute.drivers.x", source)))
    assert len(found) == 1
    assert problem in found[0].what


@pytest.mark.parametrize(
    "source",
    [
        "x = ['qemu-img', 'info', '-f', fmt, '--output=json', path]",
        "x = ['qemu-img', 'create', '-f', 'qcow2', '-b', base, '-F', fmt, path]",
        "x = which('qemu-img')",
        "'''Runs qemu-img.'''",
    ],
)
def test_a_disk_tool_that_is_told_is_allowed(source: str) -> None:
    assert not list(rules.disk_tools_name_formats(rules.module("pileus.compute.drivers.x", source)))


def test_a_file_too_long_is_found() -> None:
    assert list(rules.is_short_enough("x", "\n" * 601))
    assert not list(rules.is_short_enough("x", "\n" * 600))
