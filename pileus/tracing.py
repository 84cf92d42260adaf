"""Shows a launch's 28 steps on a terminal."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from pileus import credentials, running
from pileus.foundation.detach import pause
from pileus.foundation.errors import NotFound

FINAL = frozenset({"active", "failed", "stuck"})


def show(state_dir: Path, server: str, *, as_json: bool, follow: bool) -> None:
    """Print the trace of a server named by id or name; with `follow` until its launch has ended."""
    server_id = find_server(state_dir, server)
    while True:
        found = running.ask(state_dir, "GET", f"/v1/traces/{server_id}")
        if not follow or found["attempts"][-1]["outcome"] in FINAL:
            break
        pause(0.2)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo(render(found, terminal_width()))


def find_server(state_dir: Path, server: str) -> str:
    """The id of a server given by id or name, whosever it is. Raises: NotFound."""
    if len(server) == 36 and server.count("-") == 4:
        return server
    rest = credentials.login(state_dir)
    listed = rest.get("compute", "/servers", query={"all_tenants": "1", "name": f"^{server}$"})["servers"]
    found = [one["id"] for one in listed if one["name"] == server]
    if not found:
        raise NotFound(f"There is no server {server}.")
    if len(found) > 1:
        raise NotFound(f"{len(found)} servers are named {server}; give an id: {', '.join(found)}")
    return str(found[0])


def terminal_width() -> int | None:
    """Columns of the terminal that we write to; None when it is none, and lines may have any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def render(found: dict[str, Any], width: int | None = None) -> str:
    """The trace as lines of text, each cut at `width`."""
    lines = [f"server {found['server']}  request {found['request_id']}"]
    for attempt in found["attempts"]:
        where = f" on {attempt['host']}" if attempt["host"] else ""
        lines.append(f"attempt {attempt['attempt']}{where}: {attempt['outcome']}")
        begin = attempt["steps"][0]["start"] if attempt["steps"] else 0
        launch = next((step["start"] for step in attempt["steps"] if step["step"] == 3), begin)
        lines.extend(_line(step, launch) for step in attempt["steps"])
        if attempt["missing"]:
            lines.append(f"    not recorded: {', '.join(str(number) for number in attempt['missing'])}")
        if "error" in attempt:
            lines.append(f"    {attempt['error']}")
    return "\n".join(line[:width].rstrip() for line in lines)


def _line(step: dict[str, Any], launch: int) -> str:
    label = f"{step['step']}{step['sub']}"
    at = (step["start"] - launch) / 1000
    way = f"{step['from']} -> {step['to']}"
    notes = [f"{key} {_told(key, value)}" for key, value in step["data"].items() if key not in ("message", "kind")]
    if step["cached"]:
        notes.append("cached")
    return f"  {label:>4} {at:>10.1f} ms {step['duration_ms']:>9.2f} ms  {way:<27} {', '.join(notes)}"


def _told(key: str, value: Any) -> str:
    if key == "funnel":
        return "[" + ", ".join(f"{each['filter']}: {each['left']}" for each in value) + "]"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "[" + ", ".join(value) + "]"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
