"""What is written in the project: nothing that holds on one machine only, and every name it announces exists."""

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import rules


def words(*halves: str) -> str:
    """A forbidden word, written so that this file does not hold it."""
    return "".join(halves)


# A path under somebody's own root; system paths and the guest's own home are everybody's.
PLACES = re.compile(
    "(?<![\\w./{}-])/(?:"
    + "|".join((words("wo", "rk"), "workspace", words("fa", "rm"), "Users", "mnt/data"))
    + ")/[\\w.]"
)
TALK = re.compile(
    r"\b(?:" + "|".join((words("cla", "ude"), words("anth", "ropic"), words("sub", "agent"), words("sub-", "agent"),
                        words("language ", "model"), words("my ", "brief"))) + r")\b",
    re.IGNORECASE,
)  # fmt: skip
ISSUE = re.compile(r"\bissue\s+#?\d+\b", re.IGNORECASE)


def texts() -> Iterator[tuple[str, str]]:
    """Every text file that git tracks or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=rules.ROOT, capture_output=True, check=True
    ).stdout
    for name in listed.decode().split("\0"):
        path = rules.ROOT / name
        if name and path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            if b"\0" not in raw:
                yield name, raw.decode(errors="replace")


def traces(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        for law in (PLACES, TALK, ISSUE):
            found = law.search(line)
            if found:
                yield f"{name}:{number}: {found[0]!r}"


def test_nothing_tells_of_one_machine() -> None:
    seen = list(texts())
    assert any(name == "pyproject.toml" for name, _ in seen)
    assert not "\n".join(trace for name, text in seen for trace in traces(name, text))


@pytest.mark.parametrize(
    "line",
    [
        "see " + words("/wo", "rk/main/x.py"),
        "cd '" + words("/fa", "rm/x'"),
        words("Cla", "ude wrote this"),
        words("iss", "ue 2 asks for it"),
        words("a sub", "agent says"),
    ],
)
def test_a_trace_of_one_machine_is_found(line: str) -> None:
    assert list(traces("x", line))


@pytest.mark.parametrize(
    "line", ["/etc/libvirt/qemu.conf", "a/work/b", "ssh session", "/home/cirros/.ssh", "../shared"]
)
def test_what_holds_everywhere_is_allowed(line: str) -> None:
    assert not list(traces("x", line))


def entry_points() -> list[tuple[str, str, str]]:
    project = tomllib.loads((rules.ROOT / "pyproject.toml").read_text())["project"]
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    return [(group, name, target) for group, names in groups.items() for name, target in names.items()]


@pytest.mark.parametrize(("group", "name", "target"), entry_points())
def test_every_announced_name_exists(group: str, name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_licence_is_in_every_way_out() -> None:
    text = (rules.ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


def links(text: str) -> Iterator[str]:
    """The local files that a Markdown page points to."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            yield target


def pages() -> list[Path]:
    return [*rules.ROOT.glob("*.md"), *(rules.ROOT / "docs").rglob("*.md")]


def test_pages_point_to_pages_that_exist() -> None:
    assert not [
        f"{page.name}: {to}" for page in pages() for to in links(page.read_text()) if not (page.parent / to).exists()
    ]


def test_a_link_is_seen() -> None:
    assert list(links("[a](docs/a.md#b) [b](https://x.example/) ![c](c.svg)")) == ["docs/a.md", "c.svg"]
