"""What guests are told: every version, every document, in the shapes that cloud-init and others read."""

import base64
import json
from typing import Any

import msgspec
import pytest

from pileus.compute.domain.guest_metadata import (
    EC2_VERSIONS,
    VERSIONS,
    GuestAddress,
    GuestFile,
    GuestInterface,
    GuestMetadata,
    GuestRoute,
    config_drive,
    documents,
)

KEY = "ssh-ed25519 AAAAC3Nz me@home"
FIRST = GuestAddress(
    address="10.0.0.5", cidr="10.0.0.0/24", gateway="10.0.0.1", dns_servers=("8.8.8.8", "8.8.4.4"),
    floating="172.24.4.9",
)  # fmt: skip
FACTS = GuestMetadata(
    server_id="d8e02d56-2648-49a3-bf97-6be8f1204f38", name="Web 1", hostname="web-1.novalocal", project_id="f7ac",
    availability_zone="nova", image_id="70a599e0-31e7-49b7-b260-868f441e862b", flavor_name="m1.tiny",
    reservation_id="r-abc12345", launch_index=2, key_name="mine", public_key=KEY, metadata={"role": "web"},
    user_data=b"#!/bin/sh\necho \xff", random_seed=bytes(range(256)) * 2, password=b"c2VjcmV0",
    files=(GuestFile(path="/etc/motd", content=b"hello"), GuestFile(path="/etc/x", content=b"\0")),
    interfaces=(
        GuestInterface(
            port_id="cd9f6d46-4a3a-43ab-a466-994af9db96fc", network_id="99e88329-f20d-4741-9593-25bf07847b16",
            mac="fa:16:3e:9c:bf:3d", tap="tapcd9f6d46-4a", mtu=1450, addresses=(FIRST,), tag="front",
        ),
    ),
    security_groups=("default", "web"), vendor_data={"puppet": "10.0.0.9"},
)  # fmt: skip
BARE = GuestMetadata(server_id=FACTS.server_id, name="n", hostname="n.x", project_id="p", availability_zone="nova")


def read(found: dict[str, bytes], path: str) -> Any:
    return json.loads(found[path])


def test_every_dated_version_is_listed_and_there() -> None:
    found = documents(FACTS)
    assert found["openstack/"].decode().split("\n") == [
        "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22",
        "2018-08-27", "2020-10-14", "latest",
    ]  # fmt: skip
    assert found["/"].decode().split("\n") == [
        "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
        "2009-04-04", "latest",
    ]  # fmt: skip
    for version in VERSIONS:
        assert f"openstack/{version}/meta_data.json" in found
        assert f"openstack/{version}/user_data" in found
    for version in EC2_VERSIONS:
        assert f"{version}/meta-data/instance-id" in found
        assert f"{version}/user-data" in found


def test_the_newest_meta_data_says_it_all() -> None:
    assert read(documents(FACTS), "openstack/latest/meta_data.json") == {
        "uuid": FACTS.server_id,
        "availability_zone": "nova",
        "hostname": "web-1.novalocal",
        "launch_index": 2,
        "name": "Web 1",
        "meta": {"role": "web"},
        "public_keys": {"mine": KEY},
        "keys": [{"name": "mine", "type": "ssh", "data": KEY}],
        "files": [
            {"content_path": "/content/0000", "path": "/etc/motd"},
            {"content_path": "/content/0001", "path": "/etc/x"},
        ],
        "random_seed": base64.b64encode(FACTS.random_seed).decode(),
        "project_id": "f7ac",
        "devices": [{"type": "nic", "bus": "none", "address": "none", "mac": "fa:16:3e:9c:bf:3d", "tags": ["front"]}],
        "dedicated_cpus": [],
    }


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("random_seed", "2013-04-04"), ("project_id", "2015-10-15"), ("devices", "2016-06-30"),
        ("dedicated_cpus", "2020-10-14"), ("uuid", "2012-08-10"), ("public_keys", "2012-08-10"),
    ],
)  # fmt: skip
def test_a_field_comes_with_its_version_and_stays(name: str, since: str) -> None:
    found = documents(FACTS)
    for version in VERSIONS:
        assert (name in read(found, f"openstack/{version}/meta_data.json")) is (version >= since), version


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("password", "2013-04-04"), ("vendor_data.json", "2013-10-17"), ("network_data.json", "2015-10-15"),
        ("vendor_data2.json", "2016-10-06"),
    ],
)  # fmt: skip
def test_a_document_comes_with_its_version_and_stays(name: str, since: str) -> None:
    found = documents(FACTS)
    assert {version for version in VERSIONS if f"openstack/{version}/{name}" in found} == {
        version for version in VERSIONS if version >= since
    }


def test_what_a_server_does_not_have_is_absent() -> None:
    found = documents(BARE)
    assert read(found, "openstack/latest/meta_data.json").keys() == {
        "uuid", "availability_zone", "hostname", "launch_index", "name", "project_id", "devices", "dedicated_cpus",
    }  # fmt: skip
    assert not [path for path in found if "user" in path or "public-keys" in path or "content" in path]
    assert read(found, "openstack/latest/vendor_data.json") == {}
    assert read(found, "openstack/latest/vendor_data2.json") == {}
    assert read(found, "openstack/latest/network_data.json") == {"links": [], "networks": [], "services": []}
    assert found["latest/meta-data/local-ipv4"] == b""


def test_bytes_of_users_are_given_back_as_they_are() -> None:
    found = documents(FACTS)
    assert found["openstack/latest/user_data"] == found["latest/user-data"] == FACTS.user_data
    assert (found["openstack/content/0000"], found["openstack/content/0001"]) == (b"hello", b"\0")
    assert found["openstack/latest/password"] == b"c2VjcmV0"


def test_network_data_of_a_dhcp_port_leaves_the_address_to_dhcp() -> None:
    assert read(documents(FACTS), "openstack/latest/network_data.json") == {
        "links": [
            {
                "id": "tapcd9f6d46-4a",
                "vif_id": "cd9f6d46-4a3a-43ab-a466-994af9db96fc",
                "type": "bridge",
                "mtu": 1450,
                "ethernet_mac_address": "fa:16:3e:9c:bf:3d",
            }
        ],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4_dhcp",
                "link": "tapcd9f6d46-4a",
                "network_id": "99e88329-f20d-4741-9593-25bf07847b16",
            }
        ],
        "services": [{"type": "dns", "address": "8.8.8.8"}, {"type": "dns", "address": "8.8.4.4"}],
    }


def with_address(**facts: Any) -> dict[str, Any]:
    """The only network of a server whose only address is so."""
    interface = msgspec.structs.replace(FACTS.interfaces[0], addresses=(GuestAddress(**facts),))
    changed = msgspec.structs.replace(FACTS, interfaces=(interface,))
    (network,) = read(documents(changed), "openstack/latest/network_data.json")["networks"]
    return network


def test_network_data_without_dhcp_says_everything() -> None:
    network = with_address(
        address="10.0.0.5", cidr="10.0.0.0/22", gateway="10.0.0.1", by_dhcp=False, dns_servers=("9.9.9.9",),
        routes=(GuestRoute(destination="192.168.0.0/16", nexthop="10.0.0.7"),),
    )  # fmt: skip
    assert network == {
        "id": "network0",
        "type": "ipv4",
        "link": "tapcd9f6d46-4a",
        "network_id": "99e88329-f20d-4741-9593-25bf07847b16",
        "ip_address": "10.0.0.5",
        "netmask": "255.255.252.0",
        "routes": [
            {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
            {"network": "192.168.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.7"},
        ],
        "services": [{"type": "dns", "address": "9.9.9.9"}],
    }


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"by_dhcp": False}, "ipv6"),
        ({"mode": "slaac"}, "ipv6_slaac"),
        ({"mode": "dhcpv6-stateful"}, "ipv6_dhcpv6-stateful"),
        ({"mode": "dhcpv6-stateless"}, "ipv6_dhcpv6-stateless"),
        ({}, "ipv6_dhcp"),
    ],
)
def test_ipv6_says_how_its_address_is_made(facts: dict[str, Any], kind: str) -> None:
    network = with_address(address="fd00::5", cidr="fd00::/64", gateway="fd00::1", **facts)
    assert (network["type"], network["ip_address"], network["netmask"]) == (kind, "fd00::5", "ffff:ffff:ffff:ffff::")
    assert network["routes"] == [{"network": "::", "netmask": "::", "gateway": "fd00::1"}]


EC2 = {
    "ami-id": ("1.0", b"ami-70a599e0"),
    "ami-launch-index": ("1.0", b"2"),
    "ami-manifest-path": ("1.0", b""),
    "block-device-mapping/ami": ("2007-12-15", b"vda"),
    "block-device-mapping/root": ("2007-12-15", b"/dev/vda"),
    "hostname": ("1.0", b"web-1.novalocal"),
    "instance-action": ("2008-09-01", b"none"),
    "instance-id": ("1.0", b"i-d8e02d56"),
    "instance-type": ("2007-08-29", b"m1.tiny"),
    "local-hostname": ("2007-01-19", b"web-1.novalocal"),
    "local-ipv4": ("1.0", b"10.0.0.5"),
    "placement/availability-zone": ("2008-02-01", b"nova"),
    "public-hostname": ("2007-01-19", b"web-1.novalocal"),
    "public-ipv4": ("2007-01-19", b"172.24.4.9"),
    "public-keys/": ("1.0", b"0=mine"),
    "public-keys/0/openssh-key": ("1.0", KEY.encode()),
    "reservation-id": ("1.0", b"r-abc12345"),
    "security-groups": ("1.0", b"default\nweb"),
}


@pytest.mark.parametrize("version", EC2_VERSIONS)
def test_the_ec2_tree_has_what_came_until_its_version(version: str) -> None:
    prefix = f"{version}/meta-data/"
    found = {path[len(prefix) :]: value for path, value in documents(FACTS).items() if path.startswith(prefix)}
    assert found == {key: value for key, (since, value) in EC2.items() if since <= version}


def test_a_config_drive_holds_the_openstack_tree_and_the_first_password() -> None:
    drive, service = config_drive(FACTS, "s3cret"), documents(FACTS)
    assert {path.split("/")[0] for path in drive} == {"openstack"}
    assert not [path for path in drive if path.endswith(("/", "/password"))]
    differs = {path for path in drive if drive[path] != service[path]}
    assert differs == {f"openstack/{version}/meta_data.json" for version in VERSIONS}
    assert read(drive, "openstack/latest/meta_data.json")["admin_pass"] == "s3cret"
    assert not any(b"s3cret" in content for content in service.values())
    assert config_drive(FACTS).keys() == drive.keys()


def test_what_a_user_wrote_stays_text_in_json() -> None:
    hostile = msgspec.structs.replace(BARE, name='"}\n</script>', metadata={'k"\n': "\0é"})
    document = read(documents(hostile), "openstack/latest/meta_data.json")
    assert (document["name"], document["meta"]) == ('"}\n</script>', {'k"\n': "\0é"})
