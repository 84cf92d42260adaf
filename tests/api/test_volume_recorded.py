"""Requests that were recorded against OpenStack (release 2026.2), in their order, and the answers it gave.

Ours must have the same status and the same shape; refusals the same words.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.volume_cloud import VolumeCloud, project, tell  # noqa: F401 - a fixture

RECORDED = [
    json.loads(line) for line in (Path(__file__).parent / "recorded_volume_answers.jsonl").read_text().splitlines()
]
PROJECT = "0666d2edc17348f2bc7ca40a72b7ff51"
ROOT = {"versions", "version v3"}
_KINDS: dict[type, str] = {bool: "boolean", int: "number", str: "text", list: "list", dict: "object"}


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Where two documents differ in shape; null fits everything, of lists the first elements are compared."""
    if expected is None or found is None:
        return
    if _KINDS[type(expected)] != _KINDS[type(found)]:
        yield f"{where}: {expected!r} expected, {found!r} found"
    elif isinstance(expected, dict):
        for name in expected.keys() ^ found.keys():
            yield f"{where}.{name}: {'missing' if name in expected else 'not expected'}"
        for name in expected.keys() & found.keys():
            yield from differences(expected[name], found[name], f"{where}.{name}")
    elif isinstance(expected, list):
        if bool(expected) != bool(found):
            yield f"{where}: {len(expected)} expected, {len(found)} found"
        elif expected:
            yield from differences(expected[0], found[0], f"{where}[0]")


async def replay(cloud: VolumeCloud) -> dict[str, list[str]]:
    """What differs, by the name of the request."""
    ids = {PROJECT: project("red")}
    found: dict[str, list[str]] = {}
    for record in RECORDED:
        path = record["path"]
        for recorded, own in ids.items():
            path = path.replace(recorded, own)
        if record["name"] not in ROOT:
            path = f"/v3/{project('red')}{path}"
        as_ = "admin@red" if record["token"] else ""
        answer = await cloud.ask(record["method"], path, record["body"], as_=as_, version=record["version"])
        document = answer.json() if answer.body else None
        if record["name"] == "volume create":
            ids[record["answer"]["volume"]["id"]] = document["volume"]["id"]
        for own in list(ids.values())[1:]:
            await cloud.settled(own, as_="admin@red")
        found[record["name"]] = list(_compare(record, answer, document))
    return found


def _compare(record: dict[str, Any], answer: Any, document: Any) -> Iterator[str]:
    if answer.status != record["status"]:
        yield f"{answer.status} instead of {record['status']}: {document}"
        return
    for name in ("openstack-api-version", "vary") if record["status"] != 401 else ("openstack-api-version",):
        if answer.headers.get(name) != record["headers"].get(name):
            yield f"header {name}: {answer.headers.get(name)} instead of {record['headers'].get(name)}"
    if record["status"] >= 400:
        if document != record["answer"]:
            yield f"{document} instead of {record['answer']}"
    else:
        yield from differences(record["answer"], document)


@pytest.mark.parametrize("name", [record["name"] for record in RECORDED])
def test_an_answer_is_as_recorded(tell: Any, name: str) -> None:  # noqa: F811
    assert tell(replay)[name] == []
