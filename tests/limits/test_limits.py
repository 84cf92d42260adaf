"""What a cloud costs stays within its limits; `tools/limits` measures, and prints the same for people."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def measured() -> Any:
    """A fake cloud after a hundred logins, launches and deletes."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "limits", "--json"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    print(found)
    return found


def test_a_warm_start_takes_no_more_cpu_than_it_may_until_the_first_token(measured: Any) -> None:
    assert 0 < measured["start_cpu_s"] <= 0.6


def test_a_start_imports_nothing_that_only_others_need(measured: Any) -> None:
    assert measured["imported_but_should_not"] == []


def test_a_used_cloud_is_one_process_with_no_more_memory_than_it_may_have(measured: Any) -> None:
    assert measured["rounds"] == 100
    assert measured["processes"] == 1
    assert 10 < measured["pss_mb"] <= 100


def test_an_installation_brings_few_distributions(measured: Any) -> None:
    assert 5 < measured["distributions"] <= 30


def test_the_tool_itself_finds_no_limit_missed(measured: Any) -> None:
    assert measured["missed"] == []
