"""The scripts that set up, test and count: that a failure is never counted as a success."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import rules

CASES = {
    "passed": '<testcase name="a"/>',
    "failed": '<testcase name="b"><failure message="x"/></testcase>',
    "broken": '<testcase name="c"><error message="x"/></testcase>',
    "skipped": '<testcase name="d"><skipped message="x"/></testcase>',
}


def report(path: Path, *kinds: str) -> str:
    path.write_text(f"<testsuites><testsuite>{''.join(CASES[kind] for kind in kinds)}</testsuite></testsuites>")
    return str(path)


def count(*names: str) -> tuple[int, str]:
    argv = [sys.executable, rules.ROOT / "tools" / "count-results", *names]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("first", "second", "code", "line"),
    [
        (("passed", "passed"), ("passed",), 0, "3 passed, 0 failed, 0 skipped"),
        (("passed", "skipped"), (), 0, "1 passed, 0 failed, 1 skipped"),
        (("passed", "failed"), ("passed",), 1, "2 passed, 1 failed, 0 skipped"),
        (("broken",), ("passed",), 1, "1 passed, 1 failed, 0 skipped"),
        ((), (), 1, "0 passed, 0 failed, 0 skipped"),
        (("skipped",), (), 1, "0 passed, 0 failed, 1 skipped"),
    ],
)
def test_reports_are_added_up(
    first: tuple[str, ...], second: tuple[str, ...], code: int, line: str, tmp_path: Path
) -> None:
    assert count(report(tmp_path / "1.xml", *first), report(tmp_path / "2.xml", *second)) == (code, line)


def test_a_part_without_a_report_counts_as_failed(tmp_path: Path) -> None:
    assert count(report(tmp_path / "1.xml", "passed"), str(tmp_path / "none.xml")) == (
        1,
        "1 passed, 1 failed, 0 skipped",
    )


def test_no_report_at_all_is_a_failure() -> None:
    assert count() == (1, "0 passed, 0 failed, 0 skipped")


@pytest.mark.parametrize("name", ["setup", "hypervisor", "conformance"])
def test_wrong_usage_says_the_right_one(name: str) -> None:
    done = subprocess.run(
        [rules.ROOT / "tools" / name, *(["--no-such-option"] if name != "conformance" else [])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Usage: tools/" in done.stderr
