"""A server's document: what it shows at each microversion, and what a user can never put into it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.image import Image
from pileus.compute.domain.server import Address, Fault, Interface, Server
from pileus.compute.domain.server_document import (
    ADDRESS,
    CUT,
    FIRST,
    LATEST,
    admin_fields,
    describe,
    host_id,
    open_text,
    render,
)
from pileus.compute.domain.server_states import TaskState, VmState

MakeServer = Callable[..., Server]


def whole(document: bytes, details: bytes = b"") -> dict[str, Any]:
    """The document as a client would read it."""
    raw = document.replace(ADDRESS, b"http://cloud").replace(CUT, details) + b"}"
    found: dict[str, Any] = json.loads(raw)
    return found


def test_rendering_twice_gives_the_same_bytes(make_server: MakeServer) -> None:
    server = make_server(metadata={"b": "1", "a": "2"}, tags=("x", "y"))
    assert render(server) == render(replace(server))


def test_the_kept_documents_are_those_of_the_first_and_the_latest_version(make_server: MakeServer) -> None:
    server = make_server()
    documents = render(server)
    assert documents.first == open_text(describe(server, FIRST))
    assert documents.latest == open_text(describe(server, LATEST))


def test_nothing_changes_after_the_latest_version(make_server: MakeServer) -> None:
    server = make_server()
    assert open_text(describe(server, (2, 104))) == open_text(describe(server, LATEST))
    assert admin_fields(server, (2, 104)) == admin_fields(server, LATEST)


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("locked", (2, 9)),
        ("description", (2, 19)),
        ("tags", (2, 26)),
        ("trusted_image_certificates", (2, 63)),
        ("locked_reason", (2, 73)),
        ("OS-EXT-SRV-ATTR:hostname", (2, 90)),
        ("pinned_availability_zone", (2, 96)),
        ("scheduler_hints", (2, 100)),
    ],
)
def test_a_field_comes_with_its_version(make_server: MakeServer, name: str, since: tuple[int, int]) -> None:
    server = make_server()
    assert name not in describe(server, (since[0], since[1] - 1))
    assert name in describe(server, since)


def test_administrators_see_more_from_2_3_and_the_host_name_until_2_89(make_server: MakeServer) -> None:
    server = make_server(hostname="web", reservation_id="r-1")
    assert set(admin_fields(server, FIRST)) == {
        "OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hypervisor_hostname",
    }  # fmt: skip
    assert admin_fields(server, (2, 3))["OS-EXT-SRV-ATTR:reservation_id"] == "r-1"
    assert admin_fields(server, (2, 89))["OS-EXT-SRV-ATTR:hostname"] == "web"
    assert "OS-EXT-SRV-ATTR:hostname" not in admin_fields(server, (2, 90))


def test_the_parts_for_administrators_are_those_of_the_fields(make_server: MakeServer) -> None:
    server = make_server(user_data="Zm9v")
    common, later, details = render(server).admin.split(CUT)
    assert json.loads(b"{" + common[1:] + b"}") == admin_fields(server, FIRST)
    assert json.loads(b"{" + common[1:] + later + b"}") == admin_fields(server, LATEST)
    assert details == b""


def test_a_flavor_is_a_link_before_2_47_and_whole_from_then_on(make_server: MakeServer) -> None:
    flavor = Flavor(id="a b", name="m1", vcpus=2, ram_mib=64, disk_gib=1, swap_mib=8, extra_specs={"x": "y"})
    server = make_server(flavor=flavor)
    linked = whole(open_text(describe(server, (2, 46))))["flavor"]
    assert linked == {"id": "a b", "links": [{"rel": "bookmark", "href": "http://cloud/flavors/a%20b"}]}
    assert whole(open_text(describe(server, (2, 47))))["flavor"] == {
        "vcpus": 2, "ram": 64, "disk": 1, "ephemeral": 0, "swap": 8, "original_name": "m1", "extra_specs": {"x": "y"},
    }  # fmt: skip


def test_an_image_shows_its_properties_from_2_98_and_a_volume_root_shows_none(make_server: MakeServer) -> None:
    server = make_server(image=Image(id="i", properties={"os_distro": "debian"}))
    assert "properties" not in whole(open_text(describe(server, (2, 97))))["image"]
    assert whole(open_text(describe(server, (2, 98))))["image"]["properties"] == {"os_distro": "debian"}
    assert whole(open_text(describe(make_server(image=None), LATEST)))["image"] == ""


def test_volumes_tell_from_2_3_whether_they_go_with_the_server(make_server: MakeServer) -> None:
    disk = BlockDevice(source="volume", destination="volume", volume_id="v", delete_on_termination=True)
    local = BlockDevice(source="blank", size=1)
    server = make_server(block_devices=(disk, local))
    key = "os-extended-volumes:volumes_attached"
    assert describe(server, (2, 2))[key] == [{"id": "v"}]
    assert describe(server, (2, 3))[key] == [{"id": "v", "delete_on_termination": True}]


def test_addresses_are_grouped_by_network(make_server: MakeServer) -> None:
    def interface(name: str, mac: str, *addresses: str) -> Interface:
        return Interface(
            port_id=mac, network_id=name, network_name=name, mac=mac, addresses=tuple(map(Address, addresses))
        )

    server = make_server(interfaces=(interface("a", "m1", "10.0.0.1"), interface("a", "m2", "fd00::1")))
    assert describe(server, FIRST)["addresses"] == {
        "a": [
            {"version": 4, "addr": "10.0.0.1", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": "m1"},
            {"version": 6, "addr": "fd00::1", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": "m2"},
        ]
    }


def test_security_groups_are_shown_once_there_are_interfaces(make_server: MakeServer) -> None:
    bare = make_server(security_groups=("default",))
    assert "security_groups" not in describe(bare, FIRST)
    wired = replace(bare, interfaces=(Interface(port_id="p", network_id="n", network_name="n", mac="m"),))
    assert describe(wired, FIRST)["security_groups"] == [{"name": "default"}]
    assert "security_groups" not in describe(replace(wired, security_groups=()), FIRST)


@pytest.mark.parametrize(
    ("vm_state", "shown"), [(VmState.ACTIVE, True), (VmState.STOPPED, False), (VmState.ERROR, False)]
)
def test_progress_is_shown_with_some_statuses_only(make_server: MakeServer, vm_state: VmState, shown: bool) -> None:
    assert ("progress" in describe(make_server(vm_state), FIRST)) is shown


def test_a_fault_is_shown_in_error_with_its_details_apart(make_server: MakeServer) -> None:
    fault = Fault("No valid host was found.", 1_700_000_000_000_000, details='the "funnel"')
    server = make_server(VmState.ERROR, fault=fault)
    documents = render(server)
    details = documents.admin.split(CUT)[2]
    plain = {"code": 500, "created": "2023-11-14T22:13:20Z", "message": "No valid host was found."}
    assert whole(documents.first)["fault"] == plain
    assert whole(documents.latest, details)["fault"] == plain | {"details": 'the "funnel"'}
    assert "fault" not in whole(render(make_server(VmState.ACTIVE, fault=fault)).first)


def test_a_host_has_another_name_for_every_project() -> None:
    assert host_id("p", None) == ""
    assert host_id("p", "h") != host_id("q", "h")
    assert len(host_id("p", "h")) == 56


HOSTILE = 'x\x01y\x02z"},{\\ é\u2028'


@pytest.mark.parametrize("field", ["name", "description", "hostname", "key_name", "locked_reason"])
def test_a_users_text_cannot_pass_for_a_mark(make_server: MakeServer, field: str) -> None:
    """Control characters are escaped by the encoder: the marks are bytes that no text of a user becomes."""
    server = make_server(**{field: HOSTILE})
    plain = make_server(**{field: "x"})
    for ours, theirs in zip(render(server), render(plain), strict=True):
        assert ours.count(ADDRESS) == theirs.count(ADDRESS)
        assert ours.count(CUT) == theirs.count(CUT)
    assert HOSTILE in whole(render(server).latest).values()


def test_metadata_tags_and_network_names_cannot_either(make_server: MakeServer) -> None:
    interface = Interface(port_id="p", network_id="n", network_name=HOSTILE, mac="m", addresses=(Address("10.0.0.1"),))
    server = make_server(metadata={HOSTILE: HOSTILE}, tags=(HOSTILE,), interfaces=(interface,), user_data=HOSTILE)
    documents = render(server)
    assert whole(documents.latest)["metadata"] == {HOSTILE: HOSTILE}
    assert whole(documents.latest)["tags"] == [HOSTILE]
    assert HOSTILE in whole(documents.latest)["addresses"]
    assert documents.admin.count(CUT) == 2


def test_what_is_in_flight_is_shown(make_server: MakeServer) -> None:
    found = whole(render(make_server(task_state=TaskState.REBOOTING)).first)
    assert (found["status"], found["OS-EXT-STS:task_state"]) == ("REBOOT", "rebooting")
