"""What dnsmasq is told, to the letter."""

from pathlib import Path

import pytest

from pileus.network.domain.data_plane import DhcpOption, FixedIp, HostRoute, NetworkPlan, PortPlan, SubnetPlan
from pileus.network.drivers.linux import dnsmasq

V4 = SubnetPlan(
    id="s4", cidr="10.0.0.0/24", gateway="10.0.0.1", dns_servers=("8.8.8.8",), dhcp_address="10.0.0.2",
    host_routes=(HostRoute(destination="10.9.0.0/16", nexthop="10.0.0.9"),),
)  # fmt: skip
V6 = SubnetPlan(
    id="s6", cidr="fd00::/64", dns_servers=("fd00::53", "fd00::54"), dhcp_address="fd00::2",
    address_mode="dhcpv6-stateful",
)  # fmt: skip
OFF = SubnetPlan(id="off", cidr="192.168.0.0/24")
NETWORK = NetworkPlan(id="n", mtu=1450, subnets=(V4, V6, OFF))
PORT = PortPlan(
    id="p1", network_id="n", mac="fa:16:3e:00:00:01", hostname="web",
    fixed_ips=(
        FixedIp(subnet_id="s4", address="10.0.0.5"),
        FixedIp(subnet_id="s6", address="fd00::5"),
        FixedIp(subnet_id="off", address="192.168.0.5"),
    ),
)  # fmt: skip


def lines_of(plan: NetworkPlan) -> list[str]:
    return dnsmasq.configuration(plan, Path("/run/d"), user="nobody", group="nogroup").splitlines()


def test_each_served_subnet_is_a_range_with_options_of_its_own() -> None:
    routes = "169.254.169.254/32,10.0.0.2,10.9.0.0/16,10.0.0.9,192.168.0.0/24,0.0.0.0,0.0.0.0/0,10.0.0.1"
    assert [line for line in lines_of(NETWORK) if "sub" in line] == [
        "dhcp-range=set:sub0,10.0.0.0,static,255.255.255.0,86400s",
        "dhcp-option=tag:sub0,option:router,10.0.0.1",
        "dhcp-option=tag:sub0,option:dns-server,8.8.8.8",
        f"dhcp-option=tag:sub0,option:classless-static-route,{routes}",
        f"dhcp-option=tag:sub0,249,{routes}",
        "dhcp-range=set:sub1,fd00::,static,64,86400s",
        "dhcp-option=tag:sub1,option6:dns-server,[fd00::53],[fd00::54]",
    ]


def test_files_and_user_are_where_they_were_asked_for() -> None:
    lines = lines_of(NETWORK)
    assert lines[:3] == ["pid-file=/run/d/dnsmasq.pid", "user=nobody", "group=nogroup"]
    assert {"dhcp-hostsdir=/run/d/hosts", "dhcp-optsdir=/run/d/options", "hostsdir=/run/d/names"} <= set(lines)
    assert {"dhcp-option-force=option:mtu,1450", "no-hosts", "no-resolv", "interface=dhcp0"} <= set(lines)


@pytest.mark.parametrize(("domain", "shown"), [("", "openstacklocal"), ("a.example.org.", "a.example.org")])
def test_the_domain_is_the_networks_or_the_default(domain: str, shown: str) -> None:
    lines = lines_of(NetworkPlan(id="n", subnets=(V4,), dns_domain=domain))
    assert [line for line in lines if shown in line] == [f"domain={shown}", f"local=/{shown}/"]


def test_a_port_is_told_with_every_address_that_dhcp_gives_and_no_other() -> None:
    assert dnsmasq.port_files(PORT, NETWORK) == {
        "hosts": "fa:16:3e:00:00:01,10.0.0.5,web\nfa:16:3e:00:00:01,[fd00::5],web\n",
        "options": "",
        "names": "10.0.0.5 web.openstacklocal web\nfd00::5 web.openstacklocal web\n",
    }


def test_a_port_without_a_name_is_called_by_its_address() -> None:
    nameless = PortPlan(id="p", network_id="n", mac="fa:16:3e:00:00:01", fixed_ips=PORT.fixed_ips)
    hosts = dnsmasq.port_files(nameless, NETWORK)["hosts"]
    assert hosts.splitlines() == [
        "fa:16:3e:00:00:01,10.0.0.5,host-10-0-0-5",
        "fa:16:3e:00:00:01,[fd00::5],host-fd00-0000-0000-0000-0000-0000-0000-0005",
    ]


def test_options_of_a_port_carry_its_own_tag() -> None:
    options = (
        DhcpOption(name="bootfile-name", value="x"),
        DhcpOption(name="150", value="10.0.0.7"),
        DhcpOption(name="dns-server", value="[fd00::9]", ip_version=6),
        DhcpOption(name="59", value="x", ip_version=6),
    )
    port = PortPlan(id="p1", network_id="n", mac=PORT.mac, fixed_ips=PORT.fixed_ips[:1], dhcp_options=options)
    files = dnsmasq.port_files(port, NETWORK)
    assert files["hosts"] == "fa:16:3e:00:00:01,set:port-p1,10.0.0.5,host-10-0-0-5\n"
    assert files["options"].splitlines() == [
        "tag:port-p1,option:bootfile-name,x",
        "tag:port-p1,150,10.0.0.7",
        "tag:port-p1,option6:dns-server,[fd00::9]",
        "tag:port-p1,option6:59,x",
    ]


def test_a_guest_that_makes_its_own_ipv6_address_is_not_given_one() -> None:
    stateless = SubnetPlan(id="s6", cidr="fd00::/64", dhcp_address="fd00::2", address_mode="dhcpv6-stateless")
    network = NetworkPlan(id="n", subnets=(V4, stateless))
    assert dnsmasq.port_files(PORT, network)["hosts"] == "fa:16:3e:00:00:01,10.0.0.5,web\n"


def test_a_port_without_dhcp_has_no_files() -> None:
    port = PortPlan(id="p", network_id="n", mac=PORT.mac, fixed_ips=PORT.fixed_ips[2:])
    assert set(dnsmasq.port_files(port, NETWORK).values()) == {""}
    assert dnsmasq.port_files(port, NETWORK).keys() == dnsmasq.no_port_files().keys()


def test_leases_are_what_dhcp_may_have_given() -> None:
    assert dnsmasq.leases(PORT, NETWORK) == {
        dnsmasq.Lease(PORT.mac, "10.0.0.5", "10.0.0.2"),
        dnsmasq.Lease(PORT.mac, "fd00::5", "fd00::2"),
    }


def test_a_release_is_what_rfc_2131_says() -> None:
    packet = dnsmasq.release("fa:16:3e:00:00:01", "10.0.0.5", "10.0.0.2")
    assert packet[:4] == b"\x01\x01\x06\x00"
    assert packet[12:16] == bytes((10, 0, 0, 5))
    assert packet[28:34] == bytes.fromhex("fa163e000001")
    assert packet[236:] == b"\x63\x82\x53\x63" + b"\x35\x01\x07" + b"\x36\x04\x0a\x00\x00\x02" + b"\xff"
