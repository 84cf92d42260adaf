"""From a request to servers that are about to be built."""

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pileus.compute.domain.block_device import DiskSizes, read_block_devices
from pileus.compute.domain.errors import ForcedHostInvalid, HostnameInvalid, NetworkInvalid
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.launch import (
    LaunchFacts,
    LaunchRequest,
    WantedPlace,
    check_hostname,
    group_hint,
    hostname_of,
    plan_servers,
    read_place,
)
from pileus.compute.domain.network_request import read_networks
from pileus.compute.domain.server import Server
from pileus.foundation.errors import BadRequest

NOW = 1_700_000_000_000_000
FLAVOR = Flavor(id="1", name="m1.tiny", vcpus=1, ram_mib=512, disk_gib=1)


def plan(count: int = 1, facts: dict[str, Any] | None = None, **asked: Any) -> list[Server]:
    ids = (f"id-{number}" for number in itertools.count())
    devices = read_block_devices(image_id="img", sizes=DiskSizes())
    known = LaunchFacts(
        **{
            "project_id": "p", "user_id": "u", "flavor": FLAVOR, "image": Image(id="img"), "block_devices": devices,
            **(facts or {}),
        }
    )  # fmt: skip
    request = LaunchRequest(**{"name": "web", "flavor_id": "1", "image_id": "img", **asked})
    return plan_servers(request, known, count=count, first_number=40, now=NOW, new_id=lambda: next(ids))


def test_a_new_server_is_building_and_scheduling_on_no_host() -> None:
    (server,) = plan()
    assert (server.vm_state, server.task_state, server.power_state, server.status) == (
        "building", "scheduling", 0, "BUILD",
    )  # fmt: skip
    assert (server.host, server.launched_at, server.instance_name, server.action) == (None, None, "", "create")
    assert (server.created_at, server.updated_at, server.root_device_name) == (NOW, NOW, "/dev/vda")
    assert server.security_groups == ("default",)


def test_several_servers_are_numbered_and_share_what_was_asked() -> None:
    servers = plan(3, hostname="node")
    assert [server.name for server in servers] == ["web-1", "web-2", "web-3"]
    assert [server.hostname for server in servers] == ["node-1", "node-2", "node-3"]
    assert [(server.number, server.launch_index) for server in servers] == [(40, 0), (41, 1), (42, 2)]
    assert len({server.id for server in servers} | {d.id for server in servers for d in server.block_devices}) == 6


def test_several_servers_with_one_port_are_refused() -> None:
    with pytest.raises(NetworkInvalid):
        plan(2, networks=read_networks([{"port": "p"}]))


def test_only_a_zone_that_was_asked_for_pins() -> None:
    assert plan()[0].pinned_availability_zone is None
    assert plan(place=WantedPlace("az1"))[0].pinned_availability_zone == "az1"
    assert plan(facts={"default_zone": "az2"})[0].pinned_availability_zone == "az2"


def test_a_server_survives_the_way_through_bytes() -> None:
    (server,) = plan(metadata={"a": "b"}, tags=("t", "t"), networks=read_networks([{"uuid": "n"}]))
    assert server.tags == ("t",)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(server), type=Server) == server
    assert msgspec.json.decode(msgspec.json.encode(server), type=Server) == server


def test_a_row_of_a_newer_release_is_read_without_its_unknown_fields() -> None:
    known = msgspec.to_builtins(plan()[0])
    assert msgspec.convert({**known, "of_the_future": 1}, Server) == plan()[0]


def test_secrets_stay_out_of_what_is_printed() -> None:
    request = LaunchRequest(name="web", flavor_id="1", admin_password="hunter2", user_data="c2VjcmV0")
    assert "hunter2" not in repr(request) and "c2VjcmV0" not in repr(request)
    assert "c2VjcmV0" not in repr(plan(user_data="c2VjcmV0")[0])


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("My Server", "my-server"), ("web_1.example.com", "web-1-example-com"), ("  -x-  ", "x"), ("日本", ""),
        ("a" * 80, "a" * 63), ("web'; rm -rf /\n", "web-rm--rf-"),
    ],
)  # fmt: skip
def test_a_name_becomes_a_dns_label(name: str, hostname: str) -> None:
    assert hostname_of(name) == hostname.strip("-")


@given(st.text(max_size=300))
def test_any_name_becomes_a_host_name_that_dns_takes(name: str) -> None:
    hostname = hostname_of(name)
    assert hostname == "" or check_hostname(hostname) == hostname


def test_a_name_that_leaves_nothing_gets_the_servers_id() -> None:
    assert plan(name="日本")[0].hostname == "server-id-0"


@pytest.mark.parametrize("hostname", ["", "a b", "-a", "a-", "a..b", "a" * 64, "x" * 300, "ä", "a\n"])
def test_a_host_name_that_dns_refuses_is_refused(hostname: str) -> None:
    with pytest.raises(HostnameInvalid):
        check_hostname(hostname)


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ((None,), WantedPlace()),
        (("",), WantedPlace()),
        (("az",), WantedPlace("az")),
        (("az:h",), WantedPlace("az", "h", None, is_forced=True)),
        (("az:h:n",), WantedPlace("az", "h", "n", is_forced=True)),
        (("az::n",), WantedPlace("az", None, "n", is_forced=True)),
        ((":h",), WantedPlace(None, "h", None, is_forced=True)),
        (("az", "h", "n"), WantedPlace("az", "h", "n")),
    ],
)
def test_a_place_is_read_from_the_zone_or_from_host_and_node(asked: tuple[str | None, ...], place: WantedPlace) -> None:
    assert read_place(*asked) == place


@pytest.mark.parametrize("zone", ["a:b:c:d", ":", "a:", "::"])
def test_a_forced_place_that_names_nothing_is_refused(zone: str) -> None:
    with pytest.raises(ForcedHostInvalid):
        read_place(zone)


def test_two_ways_to_force_a_host_exclude_each_other() -> None:
    with pytest.raises(BadRequest, match="mutually exclusive"):
        read_place("az:h", "h2")


@pytest.mark.parametrize(
    ("hints", "group"), [({}, None), ({"group": "g"}, "g"), ({"group": ["g", "h"]}, "g"), ({"group": []}, None)]
)
def test_the_group_is_read_from_the_hints(hints: dict[str, Any], group: str | None) -> None:
    assert group_hint(hints) == group
