"""The way to other hosts, from what is to what should be: which commands, and none that are not needed."""

import msgspec
import pytest

from pileus.network.domain.data_plane import NetworkPlan, Peer
from pileus.network.drivers.linux import tunnels
from pileus.network.drivers.linux.devices import Link, parse_links
from pileus.network.drivers.linux.tunnels import EVERYBODY, Endpoint, Entry

ID = "0e700000-0000-4000-8000-000000000001"
NAME = "vx-0e700000-00"
A, B = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b"
PLAN = NetworkPlan(
    id=ID, mtu=1450, segment=77, peers=(Peer(address="10.9.0.2", macs=(A,)), Peer(address="10.9.0.3", macs=(B,)))
)
ALONE = msgspec.structs.replace(PLAN, peers=())
END = Endpoint("10.9.0.1")
RAW_LINKS = b"""[{},{"ifname":"lo","mtu":65536,"flags":["UP"]},
 {"ifname":"vx-0e700000-00","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1450,"master":"br-0e700000-00",
  "address":"da:8b:44:2d:e3:52","ifalias":"pileus:me:tunnel:0e700000-0000-4000-8000-000000000001",
  "linkinfo":{"info_kind":"vxlan","info_data":{"id":77,"local":"10.9.0.1","port_range":{"low":0,"high":0},
   "port":4789,"learning":false},"info_slave_kind":"bridge","info_slave_data":{"id":"0x8001","learning":true}}}]"""
RAW_ENTRIES = b"""[{"mac":"da:8b:44:2d:e3:52","ifname":"vx-0e700000-00","flags":[],"master":"br-x","state":"permanent"},
 {"mac":"fa:16:3e:00:00:0a","ifname":"vx-0e700000-00","dst":"10.9.0.2","flags":["self"],"state":"permanent"},
 {"mac":"fa:16:3e:00:00:0b","ifname":"vx-0e700000-00","dst":"10.9.0.3","flags":["self"],"state":"permanent"},
 {"mac":"00:00:00:00:00:00","ifname":"vx-0e700000-00","dst":"10.9.0.2","flags":["self"],"state":"permanent"},
 {"mac":"00:00:00:00:00:00","ifname":"vx-0e700000-00","dst":"10.9.0.3","flags":["self"],"state":"permanent"}]"""
LINKS = parse_links(RAW_LINKS)
KNOWN = tunnels.parse_entries(RAW_ENTRIES)
SETTLE = f"link set dev {NAME} mtu 1450 addrgenmode none alias pileus:me:tunnel:{ID} master br-0e700000-00 up"


def changed(**changes: object) -> dict[str, Link]:
    return {NAME: msgspec.structs.replace(LINKS[NAME], **changes)}


def test_nothing_is_done_where_all_is_so() -> None:
    assert tunnels.device_commands(PLAN, LINKS, END, owner="me") == []
    assert tunnels.entry_commands(PLAN, KNOWN[NAME]) == []
    assert list(tunnels.problems(PLAN, LINKS, KNOWN, END, owner="me")) == []


def test_a_tunnel_is_made_from_nothing() -> None:
    assert tunnels.device_commands(PLAN, {}, END, owner="me") == [
        f"link add name {NAME} type vxlan id 77 local 10.9.0.1 dstport 4789 nolearning",
        SETTLE,
    ]
    assert tunnels.entry_commands(PLAN, frozenset()) == [
        f"fdb append {EVERYBODY} dev {NAME} dst 10.9.0.2 self permanent",
        f"fdb append {EVERYBODY} dev {NAME} dst 10.9.0.3 self permanent",
        f"fdb replace {A} dev {NAME} dst 10.9.0.2 self permanent",
        f"fdb replace {B} dev {NAME} dst 10.9.0.3 self permanent",
    ]


def test_without_peers_or_an_end_of_ones_own_there_is_no_tunnel() -> None:
    for plan, end in ((ALONE, END), (PLAN, None)):
        assert tunnels.device_commands(plan, {}, end, owner="me") == []
        assert tunnels.device_commands(plan, LINKS, end, owner="me") == [f"link del dev {NAME}"]
        assert list(tunnels.problems(plan, {}, {}, end, owner="me")) == []
        assert list(tunnels.problems(plan, LINKS, KNOWN, end, owner="me")) == ["a tunnel that nobody needs"]


def test_who_moved_leaves_his_old_host_first() -> None:
    moved = msgspec.structs.replace(PLAN, peers=(Peer(address="10.9.0.3", macs=(A, B)),))
    assert tunnels.entry_commands(moved, KNOWN[NAME]) == [
        f"fdb del {EVERYBODY} dev {NAME} dst 10.9.0.2 self",
        f"fdb del {A} dev {NAME} dst 10.9.0.2 self",
        f"fdb replace {A} dev {NAME} dst 10.9.0.3 self permanent",
    ]


@pytest.mark.parametrize(
    "there",
    [changed(mtu=1400), changed(flags=()), changed(master=""), changed(ifalias="pileus:other:tunnel:x")],
    ids=["mtu", "down", "master", "alias"],
)
def test_what_can_be_set_is_set(there: dict[str, Link]) -> None:
    assert tunnels.device_commands(PLAN, there, END, owner="me") == [SETTLE]
    assert list(tunnels.problems(PLAN, there, KNOWN, END, owner="me")) == ["the tunnel is not as planned"]


@pytest.mark.parametrize(
    ("plan", "end", "kind"),
    [
        (msgspec.structs.replace(PLAN, segment=78), END, "vxlan"),
        (PLAN, Endpoint("10.9.0.9"), "vxlan"),
        (PLAN, Endpoint("10.9.0.1", 8472), "vxlan"),
        (PLAN, END, "geneve"),
    ],
    ids=["segment", "address", "port", "another kind"],
)
def test_what_leads_elsewhere_is_made_anew(plan: NetworkPlan, end: Endpoint, kind: str) -> None:
    there = changed(linkinfo=msgspec.Raw(bytes(LINKS[NAME].linkinfo).replace(b"vxlan", kind.encode())))
    assert tunnels.device_commands(plan, there, end, owner="me") == [
        f"link del dev {NAME}",
        f"link add name {NAME} type vxlan id {plan.segment} local {end.address} dstport {end.port} nolearning",
        SETTLE,
    ]


def test_entries_of_one_device_are_shown_without_its_name() -> None:
    raw = b'[{"mac":"00:00:00:00:00:00","dst":"2001:db8::2","flags":["self"],"state":"permanent"},{"mac":"a"}]'
    assert tunnels.parse_entries(raw, "vx-1") == {"vx-1": frozenset({Entry(EVERYBODY, "2001:db8::2")})}
    assert tunnels.parse_entries(b"") == {}


def test_an_own_address_is_found_however_it_is_written() -> None:
    raw = b'[{"ifname":"e","addr_info":[{},{"local":"2001:db8::1","prefixlen":64},{"local":"10.9.0.1"}]}]'
    assert tunnels.has_address(raw, "2001:DB8:0::1")
    assert tunnels.has_address(raw, "10.9.0.1")
    assert not tunnels.has_address(raw, "10.9.0.2")
