"""A real guest's life by the public API: told in one order, since each boot takes seconds."""

import base64
import json
import os
import signal
from pathlib import Path

import pytest

from tests.guest.conftest import Cloud
from tests.guest.machine import Machine
from tests.process import wait_until

pytestmark = [pytest.mark.guest, pytest.mark.machine]


@pytest.fixture(scope="module")
def server(cloud: Cloud) -> str:
    """The guest that most of this is about."""
    server_id = cloud.launch("it-is.one")
    cloud.come_up(server_id)
    return server_id


def test_a_launch_is_traced_in_28_steps(cloud: Cloud, server: str) -> None:
    (attempt,) = cloud.process.document("trace", server)["attempts"]
    assert (attempt["outcome"], attempt["missing"]) == ("active", [])
    assert sorted({step["step"] for step in attempt["steps"]}) == list(range(1, 29))


def test_the_guest_has_its_name_its_address_and_its_key(cloud: Cloud, server: str) -> None:
    assert cloud.tell(server, "hostname").strip() == "it-is-one"
    assert f"{cloud.address(server)}/24" in cloud.tell(server, "ip", "-o", "addr")
    mac = cloud.server(server)["addresses"]["net"][0]["OS-EXT-IPS-MAC:mac_addr"]
    assert mac in cloud.tell(server, "cat", "/sys/class/net/eth0/address")
    assert cloud.within("ping", "-c", "1", "-W", "5", cloud.address(server)).returncode == 0


def test_the_metadata_service_knows_the_guest(cloud: Cloud, server: str) -> None:
    found = json.loads(cloud.tell(server, "curl", "-s", "http://169.254.169.254/openstack/latest/meta_data.json"))
    assert (found["uuid"], found["name"]) == (server, "it-is.one")
    assert "key" in found["public_keys"]
    listed = cloud.tell(server, "curl", "-s", "http://169.254.169.254/openstack").split()
    assert {"2018-08-27", "latest"} <= set(listed)
    assert cloud.tell(server, "curl", "-s", "http://169.254.169.254/latest/meta-data/local-ipv4").strip() == (
        cloud.address(server)
    )


def test_the_console_tells_of_the_boot(cloud: Cloud, server: str) -> None:
    wait_until(lambda: "is up after" in cloud.console(server), "the console tells the end of the boot")
    last = cloud.act(server, "os-getConsoleOutput", {"length": 2})["output"]
    assert 1 <= len(last.rstrip("\n").splitlines()) <= 2
    assert last.rstrip("\n") in cloud.console(server)


def test_a_volume_is_plugged_into_the_running_guest_and_keeps_its_data(cloud: Cloud, server: str) -> None:
    made = cloud.admin.post("block-storage", "/volumes", {"volume": {"name": "data", "size": 1}})["volume"]["id"]

    def status() -> str:
        return str(cloud.admin.get("block-storage", f"/volumes/{made}")["volume"]["status"])

    def disks() -> str:
        return cloud.tell(server, "lsblk", "-b")

    wait_until(lambda: status() == "available", "the volume is there")
    for number in (1, 2):
        path = f"/servers/{server}/os-volume_attachments"
        cloud.admin.post("compute", path, {"volumeAttachment": {"volumeId": made}})
        wait_until(lambda: status() == "in-use" and "vdb" in disks(), "the guest sees the volume")
        assert str(1 << 30) in next(line for line in disks().splitlines() if "vdb" in line)
        if number == 1:
            cloud.tell(server, "sudo", "sh", "-c", "echo kept > /dev/vdb && sync")
        assert cloud.tell(server, "sudo", "head", "-c", "5", "/dev/vdb") == "kept\n"
        cloud.admin.send("compute", "DELETE", f"{path}/{made}")
        wait_until(lambda: status() == "available", "the volume is free")
        assert "vdb" not in disks()
    cloud.admin.send("block-storage", "DELETE", f"/volumes/{made}")
    wait_until(lambda: not list((cloud.process.state_dir / "volumes").glob(f"*{made}*")), "its file is gone")


def test_a_guest_is_paused_and_suspended_and_goes_on(cloud: Cloud, server: str) -> None:
    cloud.tell(server, "sh", "-c", "echo 1 > /dev/shm/alive")
    for begin, during, end in (("pause", "PAUSED", "unpause"), ("suspend", "SUSPENDED", "resume")):
        cloud.act(server, begin)
        cloud.reach(server, during)
        assert cloud.ssh(server, "true").returncode != 0
        cloud.act(server, end)
        cloud.come_up(server)
        assert cloud.tell(server, "cat", "/dev/shm/alive") == "1\n"  # memory, not a new boot


def test_the_cloud_may_die_and_come_back_without_its_guests_noticing(
    cloud: Cloud, machine: Machine, server: str
) -> None:
    pid, address = machine.guest_pid(server), cloud.address(server)
    cloud.tell(server, "sh", "-c", "echo 2 > /dev/shm/alive")
    cloud.process.kill()
    assert cloud.ssh(server, "cat /dev/shm/alive", address=address).stdout == "2\n"
    cloud.process.pileus("up", "--detach")
    assert cloud.reach(server, "ACTIVE")["OS-EXT-STS:power_state"] == 1
    assert machine.guest_pid(server) == pid
    assert cloud.tell(server, "cat", "/dev/shm/alive") == "2\n"
    assert "uuid" in cloud.tell(server, "curl", "-s", "http://169.254.169.254/openstack/latest/meta_data.json")
    assert cloud.process.document("audit")["findings"] == []


def test_libvirtd_may_die_and_come_back_without_guests_noticing(cloud: Cloud, machine: Machine, server: str) -> None:
    pid = machine.guest_pid(server)
    cloud.tell(server, "sh", "-c", "echo 2 > /dev/shm/alive")
    machine.kill_libvirtd()
    assert cloud.tell(server, "cat", "/dev/shm/alive") == "2\n"
    machine.start_hypervisor()
    cloud.act(server, "pause")
    cloud.reach(server, "PAUSED")
    cloud.act(server, "unpause")
    cloud.come_up(server)
    assert machine.guest_pid(server) == pid
    assert cloud.tell(server, "cat", "/dev/shm/alive") == "2\n"
    wait_until(lambda: cloud.process.document("audit", code=0)["clean"], "the audit finds the guest again")


def test_a_guest_is_stopped_started_and_rebooted(cloud: Cloud, machine: Machine, server: str) -> None:
    cloud.tell(server, "sh", "-c", "echo disk > kept && sync")
    cloud.act(server, "os-stop")
    assert cloud.reach(server, "SHUTOFF")["OS-EXT-STS:power_state"] == 4
    cloud.act(server, "os-start")
    cloud.come_up(server)
    assert not cloud.ssh(server, "cat /dev/shm/alive").stdout
    cloud.act(server, "reboot", {"type": "HARD"})
    cloud.come_up(server)
    boots = cloud.tell(server, "cat", "/proc/sys/kernel/random/boot_id")
    cloud.act(server, "reboot", {"type": "SOFT"})
    cloud.come_up(server)
    assert cloud.tell(server, "cat", "/proc/sys/kernel/random/boot_id") != boots
    assert cloud.tell(server, "cat", "kept") == "disk\n"


def test_a_guest_that_switches_itself_off_is_seen(cloud: Cloud, server: str) -> None:
    cloud.ssh(server, "sudo poweroff")
    assert cloud.reach(server, "SHUTOFF")["OS-EXT-STS:power_state"] == 4


def test_a_config_drive_carries_key_name_and_user_data(cloud: Cloud) -> None:
    script = "#!/bin/sh\necho script ran as $(id -un)\n"
    server = cloud.launch("driven", config_drive=True, user_data=base64.b64encode(script.encode()).decode())
    cloud.come_up(server)
    wait_until(lambda: "script ran as root" in cloud.console(server), "the user data have run")
    assert "guest: config drive" in cloud.console(server)
    assert cloud.tell(server, "hostname").strip() == "driven"
    cloud.delete(server)


def test_a_delete_leaves_nothing(cloud: Cloud, machine: Machine, server: str) -> None:
    cloud.delete(server)
    assert machine.domains() == []
    assert [name for name in machine.links() if name.startswith("tap")] == []
    guests = list(cloud.process.state_dir.glob("hosts/*/guests/*"))
    assert guests == []
    assert cloud.process.document("audit")["findings"] == []
    for port in cloud.admin.get("network", "/ports", query={"network_id": cloud.network_id})["ports"]:
        assert port["device_owner"] == "network:dhcp"
    cloud.admin.send("network", "DELETE", f"/networks/{cloud.network_id}")
    wait_until(lambda: not machine.namespaces() and not machine.links(), "the network is gone from the machine")
    assert not list(Path("/run/pileus").rglob("*.leases"))
    assert cloud.process.document("audit")["findings"] == []


def test_the_cloud_ends_in_order(cloud: Cloud) -> None:
    os.kill(cloud.process.pid, signal.SIGTERM)
    wait_until(lambda: cloud.process.pileus("status", code=None).returncode == 1, "the cloud is down")
