"""From what is to what should be: which commands, and none that are not needed."""

import msgspec
import pytest

from pileus.network.domain.data_plane import NetworkPlan, PortPlan, SubnetPlan
from pileus.network.drivers.linux import devices
from pileus.network.drivers.linux.devices import NO_NAMESPACE, Inner, Link, Namespace

NETWORK_ID = "0e700000-0000-4000-8000-000000000001"
PORT_ID = "00000001-1111-4000-8000-000000000001"
NETWORK = NetworkPlan(
    id=NETWORK_ID, mtu=1450, dhcp_mac="fa:16:3e:00:00:02",
    subnets=(SubnetPlan(id="s", cidr="10.0.0.0/24", dhcp_address="10.0.0.2"),),
)  # fmt: skip
PLAIN = msgspec.structs.replace(NETWORK, subnets=())
PORT = PortPlan(id=PORT_ID, network_id=NETWORK_ID, mac="fa:16:3e:00:00:01")
UP = ("BROADCAST", "UP")


def link(name: str, alias: str, master: str = "", mtu: int = 1450, flags: tuple[str, ...] = UP) -> Link:
    return Link(ifname=name, mtu=mtu, flags=flags, master=master, ifalias=alias)


BRIDGE = link("br-0e700000-00", f"pileus:me:network:{NETWORK_ID}")
DHCP = link("dh-0e700000-00", f"pileus:me:dhcp:{NETWORK_ID}", "br-0e700000-00")
TAP = link("tap00000001-11", f"pileus:me:port:{PORT_ID}", "br-0e700000-00")
RAW_INNER = b"""[{"ifname":"lo","mtu":65536,"addr_info":[{"local":"127.0.0.1","prefixlen":8,"scope":"host"}]},
 {"ifname":"dhcp0","mtu":1450,"flags":["UP"],"address":"fa:16:3e:00:00:02","addr_info":[
  {"family":"inet","local":"10.0.0.2","prefixlen":24,"scope":"global"},
  {"family":"inet","local":"169.254.169.254","prefixlen":32,"scope":"global"},
  {"family":"inet6","local":"fe80::f816:3eff:fe00:2","prefixlen":64,"scope":"link"}]}]"""
INNER = devices.parse_inner(RAW_INNER)
WHOLE = Namespace(has_name=True, is_alive=True, inner=INNER)


def links(*found: Link) -> dict[str, Link]:
    return {item.ifname: item for item in found}


def test_nothing_is_done_where_all_is_so() -> None:
    there = links(BRIDGE, DHCP, TAP)
    assert devices.network_commands(NETWORK, there, WHOLE, owner="me") == []
    assert devices.inner_commands(NETWORK, INNER) == []
    assert devices.port_commands(PORT, NETWORK, there, owner="me") == []
    assert list(devices.network_problems(NETWORK, there, INNER, owner="me")) == []
    assert list(devices.port_problems(PORT, NETWORK, there, owner="me")) == []


def test_a_network_is_made_from_nothing() -> None:
    assert devices.network_commands(NETWORK, {}, NO_NAMESPACE, owner="me") == [
        "link add name br-0e700000-00 address 02:0e:70:00:00:00 type bridge"
        " stp_state 0 forward_delay 0 mcast_snooping 0",
        f"link set dev br-0e700000-00 mtu 1450 addrgenmode none alias pileus:me:network:{NETWORK_ID} up",
        "netns add pileus-dhcp-0e700000-000",
        "link add name dh-0e700000-00 type veth peer name dhcp0 netns pileus-dhcp-0e700000-000",
        f"link set dev dh-0e700000-00 mtu 1450 addrgenmode none alias pileus:me:dhcp:{NETWORK_ID}"
        " master br-0e700000-00 up",
    ]
    assert devices.inner_commands(NETWORK, None) == [
        "link set dev lo up",
        "link set dev dhcp0 mtu 1450 address fa:16:3e:00:00:02 up",
        "addr add 10.0.0.2/24 dev dhcp0",
        "addr add 169.254.169.254/32 dev dhcp0",
    ]


def test_a_network_without_dhcp_has_no_namespace() -> None:
    assert len(devices.network_commands(PLAIN, {}, NO_NAMESPACE, owner="me")) == 2
    assert devices.network_commands(PLAIN, links(BRIDGE, DHCP), WHOLE, owner="me") == [
        "link del dev dh-0e700000-00",
        "netns del pileus-dhcp-0e700000-000",
    ]
    assert devices.inner_addresses(PLAIN) == frozenset()


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        (NO_NAMESPACE, ["link del", "netns add", "link add", "link set"]),
        (Namespace(has_name=True), ["link del", "netns del", "netns add", "link add", "link set"]),
        (Namespace(has_name=True, is_alive=True), ["link del", "link add", "link set"]),
    ],
)
def test_a_lost_inside_is_made_anew(namespace: Namespace, expected: list[str]) -> None:
    commands = devices.network_commands(NETWORK, links(BRIDGE, DHCP), namespace, owner="me")
    assert [" ".join(command.split()[:2]) for command in commands] == expected


def test_only_addresses_that_differ_are_touched() -> None:
    moved = msgspec.structs.replace(
        NETWORK,
        subnets=(
            SubnetPlan(id="s", cidr="10.0.0.0/24", dhcp_address="10.0.0.3"),
            SubnetPlan(id="t", cidr="fd00::/64", dhcp_address="fd00:0:0::2"),
        ),
    )
    assert devices.inner_commands(moved, INNER) == [
        "addr del 10.0.0.2/24 dev dhcp0",
        "addr add 10.0.0.3/24 dev dhcp0",
        "addr add fd00::2/64 dev dhcp0 nodad",
    ]


def test_another_mac_is_set() -> None:
    other = msgspec.structs.replace(NETWORK, dhcp_mac="fa:16:3e:00:00:99")
    assert "link set dev dhcp0 mtu 1450 address fa:16:3e:00:00:99 up" in devices.inner_commands(other, INNER)


@pytest.mark.parametrize(
    "found",
    [
        link(TAP.ifname, TAP.ifalias, ""),
        link(TAP.ifname, "", TAP.master),
        link(TAP.ifname, TAP.ifalias, TAP.master, mtu=1500),
        link(TAP.ifname, TAP.ifalias, TAP.master, flags=()),
    ],
)
def test_a_tap_that_differs_is_set_right(found: Link) -> None:
    there = links(BRIDGE, found)
    assert devices.port_commands(PORT, NETWORK, there, owner="me") == [
        f"link set dev tap00000001-11 mtu 1450 addrgenmode none alias pileus:me:port:{PORT_ID} master br-0e700000-00 up"
    ]
    assert list(devices.port_problems(PORT, NETWORK, there, owner="me")) == ["the tap is not as planned"]


def test_a_port_that_is_switched_off_has_its_tap_down() -> None:
    off = msgspec.structs.replace(PORT, is_up=False)
    (command,) = devices.port_commands(off, NETWORK, links(BRIDGE, TAP), owner="me")
    assert command.endswith(" down")


def test_removal_takes_what_is_there_and_only_of_this_network() -> None:
    foreign = link("tapffffffff-11", "pileus:other:port:x", "br-0e700000-00")
    elsewhere = link("tap00000002-11", "pileus:me:port:y", "br-ffffffff-ff")
    there = links(BRIDGE, DHCP, TAP, foreign, elsewhere)
    assert devices.removal_commands(NETWORK_ID, there, WHOLE, owner="me") == [
        "link del dev tap00000001-11",
        "link del dev dh-0e700000-00",
        "netns del pileus-dhcp-0e700000-000",
        "link del dev br-0e700000-00",
    ]
    assert devices.removal_commands(NETWORK_ID, {}, NO_NAMESPACE, owner="me") == []


def test_another_clouds_tap_of_the_same_name_is_left_alone() -> None:
    foreign = link("tap00000001-11", f"pileus:other:port:{PORT_ID}")
    assert devices.unplug_commands(PORT_ID, links(foreign), owner="me") == []
    assert devices.unplug_commands(PORT_ID, links(TAP), owner="me") == ["link del dev tap00000001-11"]
    assert devices.unplug_commands(PORT_ID, {}, owner="me") == []


def test_marks_name_cloud_kind_and_id() -> None:
    foreign = link("eth0", "uplink")
    assert list(devices.marked(links(TAP, foreign), "me")) == [("port", PORT_ID, TAP)]
    assert list(devices.marked(links(TAP), "you")) == []


def test_names_fit_into_what_the_kernel_allows() -> None:
    assert all(len(item.ifname) <= 15 for item in (BRIDGE, DHCP, TAP))


def test_what_ip_says_is_read_whatever_else_it_says() -> None:
    raw = b'[{},{"ifname":"tap1","flags":["UP"],"mtu":1450,"master":"br-1","ifalias":"pileus:me:port:x","new":1}]'
    assert devices.parse_links(raw) == {"tap1": link("tap1", "pileus:me:port:x", "br-1", flags=("UP",))}
    assert devices.parse_links(b"") == {}
    assert devices.parse_inner(b'[{"ifname":"lo","mtu":65536,"addr_info":[{}]}]') is None
    assert isinstance(INNER, Inner)
    assert INNER.addresses == {"10.0.0.2/24", "169.254.169.254/32"}
