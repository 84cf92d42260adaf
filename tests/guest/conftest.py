"""A cloud with real guests on a machine of its own, made once for the module that asks for it."""

import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pileus import credentials, running
from pileus.network.drivers.base import dhcp_namespace
from pileus.rest import Rest
from tests.guest.machine import Machine, machine_for_guests
from tests.process import CloudProcess, wait_until

BOOT_S = 120.0  # a boot takes 10 s under software emulation on an idle machine


@pytest.fixture(scope="module")
def machine(guest_image: Path) -> Iterator[Machine]:
    with machine_for_guests() as found:
        yield found


@dataclass(frozen=True)
class Cloud:
    """A cloud with an image, a flavor, a network and a key, and its administrator."""

    process: CloudProcess
    admin: Rest
    image_id: str
    network_id: str
    key_file: Path

    def launch(self, name: str, **facts: Any) -> str:
        """Ask for a server on the network; returns its id."""
        server = {
            "name": name, "flavorRef": "tiny", "imageRef": self.image_id, "key_name": "key",
            "networks": [{"uuid": self.network_id}],
        }  # fmt: skip
        return str(self.admin.post("compute", "/servers", {"server": server | facts})["server"]["id"])

    def server(self, server_id: str) -> Any:
        return self.admin.get("compute", f"/servers/{server_id}")["server"]

    def act(self, server_id: str, action: str, args: Any = None) -> Any:
        return self.admin.post("compute", f"/servers/{server_id}/action", {action: args})

    def reach(self, server_id: str, status: str) -> Any:
        """The server once it has come to rest in a status."""

        def arrived() -> Any:
            server = self.server(server_id)
            assert server["status"] != "ERROR" or status == "ERROR", server.get("fault")
            rests = server["status"] == status and server["OS-EXT-STS:task_state"] is None
            return server if rests else None

        return wait_until(arrived, f"server {server_id} is {status}", BOOT_S)

    def console(self, server_id: str) -> str:
        return str(self.act(server_id, "os-getConsoleOutput", {})["output"])

    # -- inside guests --------------------------------------------------------------------------------------------
    def address(self, server_id: str) -> str:
        return str(self.server(server_id)["addresses"]["net"][0]["addr"])

    def within(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside the network's namespace."""
        command = ["ip", "netns", "exec", dhcp_namespace(self.network_id), *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def ssh(
        self, server_id: str, command: str, *, address: str = "", patience_s: int = 5
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the guest, logged in with the key. `address` saves asking the cloud for it."""
        options = [f"-o{each}" for each in ("BatchMode=yes", f"ConnectTimeout={patience_s}", "StrictHostKeyChecking=no",
                                            "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")]  # fmt: skip
        return self.within(
            "ssh", "-i", str(self.key_file), *options, f"cirros@{address or self.address(server_id)}", command
        )

    def tell(self, server_id: str, *argv: str) -> str:
        """What a command in the guest prints; it must succeed. An emulated guest may be slow to answer."""
        done = self.ssh(server_id, shlex.join(argv), patience_s=40)
        assert done.returncode == 0, f"{argv}: {done.stdout} {done.stderr}"
        return done.stdout

    def come_up(self, server_id: str) -> Any:
        """The server once it is ACTIVE and lets us in."""
        server = self.reach(server_id, "ACTIVE")
        wait_until(lambda: self.ssh(server_id, "true").returncode == 0, f"{server_id} answers ssh", BOOT_S)
        return server

    def delete(self, server_id: str) -> None:
        self.admin.send("compute", "DELETE", f"/servers/{server_id}")
        wait_until(lambda: server_id not in self.servers(), f"server {server_id} is gone", BOOT_S)

    def servers(self) -> list[str]:
        return [server["id"] for server in self.admin.get("compute", "/servers")["servers"]]


@pytest.fixture(scope="module")
def cloud(machine: Machine, guest_image: Path) -> Iterator[Cloud]:
    process = CloudProcess(machine.root / "state")
    try:
        process.up("--hypervisor", "libvirt")
        yield _furnish(process, guest_image)
    finally:
        process.clean_up()


def _furnish(process: CloudProcess, image_file: Path) -> Cloud:
    state = process.state_dir
    admin = Rest(running.facts(state).url, "admin", credentials.admin_password(state))
    image = admin.post("image", "/images", {"name": "tiny", "disk_format": "qcow2", "container_format": "bare"})
    headers = {"content-type": "application/octet-stream"}
    chunks = iter([image_file.read_bytes()])
    admin.send("image", "PUT", f"/images/{image['id']}/file", headers=headers, chunks=chunks)
    flavor = {"name": "tiny", "ram": 192, "vcpus": 1, "disk": 1, "id": "tiny"}
    admin.post("compute", "/flavors", {"flavor": flavor})
    network = admin.post("network", "/networks", {"network": {"name": "net"}})["network"]
    subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.77.0.0/24"}
    admin.post("network", "/subnets", {"subnet": subnet})
    key = admin.post("compute", "/os-keypairs", {"keypair": {"name": "key"}})["keypair"]
    key_file = state.parent / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(key["private_key"])
    return Cloud(process, admin, image["id"], network["id"], key_file)
