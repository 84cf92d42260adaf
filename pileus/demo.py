"""The demo: an image, flavors, networks, a key and a first server, and how to log in. Doing it twice changes nothing.

It is an ordinary user of the public API; only the image is built here.
"""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pileus import credentials, running, tracing
from pileus.foundation.detach import pause
from pileus.foundation.errors import Error
from pileus.foundation.runtime import Runtime
from pileus.rest import Rest

Say = Callable[[str], None]

IMAGE, NETWORK, KEY, SERVER = "tiny", "demo", "demo", "first"
CIDR = "10.100.0.0/24"
PUBLIC = "public"  # the network outside: where routers have their gateways and floating IPs come from
PUBLIC_CIDR, PUBLIC_GATEWAY = "172.24.4.0/24", "172.24.4.1"
FLAVORS = (
    ("m1.tiny", 256, 1, 1),
    ("m1.small", 1024, 1, 10),
    ("m1.medium", 2048, 2, 20),
    ("m1.large", 4096, 4, 40),
)  # name, RAM in MiB, vCPUs, disk in GiB
LAUNCH_TIMEOUT_S = 300.0
CONSOLE_LINES = 8


class DemoFailed(Error):
    code = "demo.failed"
    message = "The first server is in ERROR: {reason} Why is in {file}; mend it, and do the same again."


def run_demo(state_dir: Path, say: Say) -> None:
    """Make what is missing, show the first server's 28 steps and console, tell how to log in."""
    server, network_id = show_first_server(state_dir, say)
    _tell(state_dir, server, network_id, say)


def show_first_server(state_dir: Path, say: Say) -> tuple[Any, str]:
    """Make what is missing, show the first server's 28 steps and console; returns it and the id of its network."""
    rest = credentials.login(state_dir)
    hypervisor = running.facts(state_dir).hypervisor
    image_id = _image(rest, state_dir, hypervisor, say)
    flavor_id = _flavors(rest, say)
    _public_network(rest, say)
    network_id = _network(rest, say)
    _key(rest, state_dir, say)
    server = _server(rest, state_dir, image_id, flavor_id, network_id, say)
    say("")
    say(tracing.render(running.ask(state_dir, "GET", f"/v1/traces/{server['id']}"), tracing.terminal_width()))
    say("")
    if server["status"] == "ACTIVE":
        _console(rest, server, say)
    else:
        say(f"Server {SERVER} is {server['status']}.")
    return server, network_id


def _named(listed: list[Any], name: str) -> Any | None:
    return next((one for one in listed if one["name"] == name), None)


def _image(rest: Rest, state_dir: Path, hypervisor: str, say: Say) -> str:
    found = _named(rest.get("image", "/images", query={"name": IMAGE})["images"], IMAGE)
    if found is not None and found["status"] == "active":
        return str(found["id"])
    image_id = found["id"] if found is not None else None
    if image_id is None:
        disk_format = "raw" if hypervisor == "fake" else "qcow2"
        body = {"name": IMAGE, "disk_format": disk_format, "container_format": "bare", "visibility": "public"}
        image_id = rest.post("image", "/images", body)["id"]
    path = _build_image(state_dir, say) if hypervisor != "fake" else _blank_image(state_dir)
    say(f"Uploading image {IMAGE} ({path.stat().st_size / 1e6:.0f} MB) ...")
    headers = {"content-type": "application/octet-stream"}
    rest.send("image", "PUT", f"/images/{image_id}/file", headers=headers, chunks=_chunks(path))
    return str(image_id)


def _build_image(state_dir: Path, say: Say) -> Path:
    from pileus.guest_image import ensure_image

    async def build() -> Path:
        runtime = Runtime("guest-image")
        try:
            return await ensure_image(runtime, state_dir / "cache", say=say)
        finally:
            await runtime.stop()

    return asyncio.run(build())


def _blank_image(state_dir: Path) -> Path:
    """Guests of the fake hypervisor have no disks: an empty one will do. Zeros alone would pass for a tar archive."""
    path = state_dir / "cache" / "blank.raw"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"pileus".ljust(1 << 20, b"\0"))
    return path


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(1 << 20):
            yield chunk


def _flavors(rest: Rest, say: Say) -> str:
    known = {flavor["name"]: flavor["id"] for flavor in rest.get("compute", "/flavors")["flavors"]}
    for name, ram, vcpus, disk in FLAVORS:
        if name not in known:
            say(f"Making flavor {name} ...")
            body = {"flavor": {"name": name, "ram": ram, "vcpus": vcpus, "disk": disk}}
            known[name] = rest.post("compute", "/flavors", body)["flavor"]["id"]
    return str(known["m1.tiny"])


def _network(rest: Rest, say: Say) -> str:
    found = _named(rest.get("network", "/networks", query={"name": NETWORK})["networks"], NETWORK)
    if found is None:
        say(f"Making network {NETWORK} ({CIDR}) ...")
        found = rest.post("network", "/networks", {"network": {"name": NETWORK}})["network"]
    if not found["subnets"]:
        body = {"subnet": {"name": NETWORK, "network_id": found["id"], "ip_version": 4, "cidr": CIDR}}
        rest.post("network", "/subnets", body)
    return str(found["id"])


def _public_network(rest: Rest, say: Say) -> None:
    """The network outside. It belongs to the services' project, so that `server create` never has to choose."""
    found = _named(rest.get("network", "/networks", query={"name": PUBLIC})["networks"], PUBLIC)
    owner = rest.get("identity", "/projects", query={"name": "service"})["projects"][0]["id"]
    if found is None:
        say(f"Making network {PUBLIC} ({PUBLIC_CIDR}) ...")
        network = {
            "name": PUBLIC, "project_id": owner, "router:external": True,
            "provider:network_type": "flat", "provider:physical_network": "public",
        }  # fmt: skip
        found = rest.post("network", "/networks", {"network": network})["network"]
    if not found["subnets"]:
        subnet = {
            "name": PUBLIC, "network_id": found["id"], "project_id": owner, "ip_version": 4, "cidr": PUBLIC_CIDR,
            "gateway_ip": PUBLIC_GATEWAY, "enable_dhcp": False,
        }  # fmt: skip
        rest.post("network", "/subnets", {"subnet": subnet})


def _key(rest: Rest, state_dir: Path, say: Say) -> None:
    path = key_file(state_dir)
    listed = rest.get("compute", "/os-keypairs")["keypairs"]
    if any(one["keypair"]["name"] == KEY for one in listed):
        return
    made = rest.post("compute", "/os-keypairs", {"keypair": {"name": KEY}})["keypair"]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as target:
        target.write(made["private_key"])
    say(f"Made key {KEY}; its private half is in {path}")


def key_file(state_dir: Path) -> Path:
    return state_dir / "demo-key"


def _server(rest: Rest, state_dir: Path, image_id: str, flavor_id: str, network_id: str, say: Say) -> Any:
    """The first server, launched if it is not there; one in ERROR gives way to a new one."""
    found = _named(rest.get("compute", "/servers/detail", query={"name": f"^{SERVER}$"})["servers"], SERVER)
    if found is not None and found["status"] == "ERROR":
        say(f"Deleting server {SERVER}, which is in ERROR ...")
        rest.send("compute", "DELETE", f"/servers/{found['id']}")
        found = None
    if found is None:
        say(f"Launching server {SERVER} ...")
        body = {
            "server": {
                "name": SERVER, "imageRef": image_id, "flavorRef": flavor_id, "key_name": KEY,
                "networks": [{"uuid": network_id}],
            }
        }  # fmt: skip
        found = rest.post("compute", "/servers", body)["server"]
    waited = 0.0
    while True:
        server = rest.get("compute", f"/servers/{found['id']}")["server"]
        if server["status"] == "ERROR":
            reason = server.get("fault", {}).get("message", "no reason is known").rstrip(".")
            raise DemoFailed(reason=f"{reason}.", file=state_dir / running.LOG)
        if server["status"] != "BUILD" or waited > LAUNCH_TIMEOUT_S:
            return server
        pause(0.2)
        waited += 0.2


def _console(rest: Rest, server: Any, say: Say) -> None:
    """The end of the guest's console, once it has come to its login."""
    text = ""
    say(f"Waiting for {SERVER} to come to its login ...")
    for _ in range(90):
        body = {"os-getConsoleOutput": {"length": 60}}
        text = rest.post("compute", f"/servers/{server['id']}/action", body)["output"]
        if "login:" in text:
            break
        pause(0.5)
    say(f"The console of {SERVER}:")
    for line in text.rstrip().splitlines()[-CONSOLE_LINES:]:
        say(f"    {line}")


def _tell(state_dir: Path, server: Any, network_id: str, say: Say) -> None:
    """What to type next, as it stands."""
    command = _command()
    state = "" if state_dir == running.default_state() else f" --state {shlex.quote(str(state_dir))}"
    say("")
    say("Use the cloud:")
    if command != "pileus" and "sudo" not in command:
        say(f"    . {shlex.quote(str(Path(sys.executable).parent / 'activate'))}")
        command = "pileus"
    say(f'    eval "$({command} openrc{state})"')
    say("    openstack server list")
    say(f"    {command} trace {SERVER}{state}")
    if running.facts(state_dir).hypervisor != "fake":
        say(f"Log in to {SERVER}, from inside its network:")
        say(f"    {_login(state_dir, server, network_id)}")


def _command() -> str:
    """How whoever started us calls this program."""
    ours = Path(sys.executable).parent / "pileus"
    if "SUDO_UID" in os.environ:
        return f"sudo {shlex.quote(str(ours))}"
    found = shutil.which("pileus")
    return "pileus" if found is not None and Path(found) == ours else shlex.quote(str(ours))


def _login(state_dir: Path, server: Any, network_id: str) -> str:
    from pileus.network.drivers.base import dhcp_namespace

    address = next((entry["addr"] for known in server["addresses"].values() for entry in known), "")
    sudo = "sudo " if "SUDO_UID" in os.environ else ""
    return (
        f"{sudo}ip netns exec {dhcp_namespace(network_id)} ssh -i {shlex.quote(str(key_file(state_dir)))} "
        f"-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR cirros@{address}"
    )
