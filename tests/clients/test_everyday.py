"""A day with the `openstack` command, as a newcomer types it. Each call costs a second: the rest is the SDK's."""

from pathlib import Path
from typing import Any

from tests.clients.conftest import Person
from tests.process import OpenStack, wait_until


def test_a_day_with_the_openstack_command(member: Person, flavor: Any, tmp_path: Path) -> None:
    openstack = member.command
    assert openstack.ask("token", "issue")["project_id"] == member.project_id
    _bring_an_image(openstack, tmp_path)
    _make_a_network_and_a_key(openstack, tmp_path)
    server = openstack.ask(
        "server", "create", "web", "--flavor", "small", "--image", "mine", "--network", "net", "--key-name", "key",
        "--security-group", "ssh", "--property", "role=it's \"quoted\" $(here)", "--wait",
    )  # fmt: skip
    assert (server["status"], server["key_name"]) == ("ACTIVE", "key")
    _look(openstack, server)
    _use_a_volume(openstack)
    _command(openstack)
    openstack.run("server", "delete", "web", "--wait")
    assert openstack.ask("server", "list") == []


def _bring_an_image(openstack: OpenStack, folder: Path) -> None:
    data = bytes(range(256)) * 4096
    (folder / "data.raw").write_bytes(data)
    image = openstack.ask("image", "create", "mine", "--file", str(folder / "data.raw"), "--disk-format", "raw")
    assert (image["name"], image["disk_format"]) == ("mine", "raw")
    openstack.run("image", "save", "mine", "--file", str(folder / "back.raw"))
    assert (folder / "back.raw").read_bytes() == data
    assert {each["Name"]: each["Status"] for each in openstack.ask("image", "list")}["mine"] == "active"


def _make_a_network_and_a_key(openstack: OpenStack, folder: Path) -> None:
    openstack.run("network", "create", "net")
    openstack.run("subnet", "create", "sub", "--network", "net", "--subnet-range", "10.9.0.0/24")
    openstack.run("security", "group", "create", "ssh")
    openstack.run("security", "group", "rule", "create", "ssh", "--protocol", "tcp", "--dst-port", "22")
    openstack.run("keypair", "create", "key", "--private-key", str(folder / "key"))
    assert "PRIVATE KEY" in (folder / "key").read_text()


def _look(openstack: OpenStack, server: Any) -> None:
    listed = openstack.ask("server", "list")
    assert [(each["ID"], each["Name"], each["Status"]) for each in listed] == [(server["id"], "web", "ACTIVE")]
    assert listed[0]["Networks"]["net"][0].startswith("10.9.0.")
    shown = openstack.ask("server", "show", "web")
    assert shown["properties"] == {"role": 'it\'s "quoted" $(here)'}
    assert [group["name"] for group in shown["security_groups"]] == ["ssh"]
    assert "web" in openstack.run("console", "log", "show", "web").stdout
    limits = {each["Name"]: each["Value"] for each in openstack.ask("limits", "show", "--absolute")}
    assert (limits["instances_used"], limits["total_ram_used"]) == (1, 256)


def _use_a_volume(openstack: OpenStack) -> None:
    openstack.run("volume", "create", "data", "--size", "1")
    wait_until(lambda: openstack.ask("volume", "show", "data")["status"] == "available", "the volume is there")
    openstack.run("server", "add", "volume", "web", "data")
    openstack.run("server", "remove", "volume", "web", "data")
    wait_until(lambda: openstack.ask("volume", "show", "data")["status"] == "available", "the volume is free")
    openstack.run("volume", "delete", "data")


def _command(openstack: OpenStack) -> None:
    openstack.run("server", "reboot", "--hard", "--wait", "web")
    openstack.run("server", "rebuild", "--wait", "web")
    openstack.run("server", "lock", "web")
    refused = openstack.run("server", "delete", "web", code=1)
    assert "locked" in refused.stderr
    openstack.run("server", "unlock", "web")
