"""A running cloud as the command line finds it: where its state is, whether it runs, how it is reached."""

from pathlib import Path
from typing import Any

import msgspec

from pileus.foundation.errors import Error
from pileus.foundation.http.client import refusal
from pileus.foundation.http.plain_client import PlainClient
from pileus.foundation.state_directory import inspect_state

SOCKET = "pileus.sock"
LOG = "pileus.log"
FACTS = "cloud.json"
RESTORED = "restored"  # left by a restore; the first start after it ends every token


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `up` leaves for the other commands and for the next `up`; no secret."""

    url: str  # http://127.0.0.1:8800
    region: str
    hypervisor: str
    address: str = "127.0.0.1"
    port: int = 8800
    public_url: str = ""
    hosts: int = 1
    host_name: str = ""
    hypervisor_options: dict[str, object] = {}
    secrets_file: str = ""  # empty: in the state directory
    authority: str = ""  # whose certificates are believed; empty: those that the system believes


class NotRunning(Error):
    code = "cloud.not-running"
    message = "No cloud runs on {path}. Start it with: pileus up --state {path}"


def default_state() -> Path:
    """Where a cloud keeps its state when nobody says: the system's place for root, the user's own otherwise."""
    import os

    if os.geteuid() == 0:
        return Path("/var/lib/pileus")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "pileus"


def running_pid(state_dir: Path) -> int | None:
    return inspect_state(state_dir).running_pid


def control(state_dir: Path) -> PlainClient:
    """The cloud's own socket. Raises: NotRunning."""
    if running_pid(state_dir) is None:
        raise NotRunning(path=state_dir)
    return PlainClient(state_dir / SOCKET, timeout_s=180.0)


def ask(state_dir: Path, method: str, path: str) -> Any:
    """A document of the operators' API. Raises: what it answers."""
    found = control(state_dir).request(method, f"/pileus{path}")
    if found.status >= 400:
        raise refusal(found, "pileus")
    return found.json()


def facts(state_dir: Path) -> Facts:
    """Raises: NotRunning for a state that never ran."""
    path = state_dir / FACTS
    if not path.exists():
        raise NotRunning(path=state_dir)
    return msgspec.json.decode(path.read_bytes(), type=Facts)


def remember(state_dir: Path, found: Facts) -> None:
    """Write the facts: whole or not at all."""
    partial = state_dir / f".{FACTS}"
    partial.write_bytes(msgspec.json.encode(found))
    partial.replace(state_dir / FACTS)


def is_ready(state_dir: Path) -> bool:
    """Whether the cloud answers on its socket."""
    try:
        return PlainClient(state_dir / SOCKET, timeout_s=5.0).request("GET", "/healthcheck").status == 200
    except Error:
        return False
