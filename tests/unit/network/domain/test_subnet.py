"""Subnets: what a request becomes, and what is refused."""

import msgspec
import pytest

from pileus.foundation.errors import Error
from pileus.network.domain import errors
from pileus.network.domain.subnet import NewSubnet, Pool, Route, Subnet, SubnetChange, changed, check_overlap, plan


def new(cidr: str = "10.0.0.0/24", **facts: object) -> NewSubnet:
    return NewSubnet(**{"network_id": "n", "cidr": cidr, "ip_version": 6 if ":" in cidr else 4, **facts})  # type: ignore[arg-type]


def made(cidr: str = "10.0.0.0/24", **facts: object) -> Subnet:
    return plan(new(cidr, **facts), id="s", project_id="p", is_external=False)


def pools(subnet: Subnet) -> list[tuple[str, str]]:
    return [(pool.start, pool.end) for pool in subnet.allocation_pools]


def test_the_gateway_is_the_first_address_and_in_no_pool() -> None:
    subnet = made()
    assert subnet.gateway_ip == "10.0.0.1"
    assert pools(subnet) == [("10.0.0.2", "10.0.0.254")]


def test_a_gateway_in_the_middle_splits_the_pool() -> None:
    assert pools(made(gateway="10.0.0.9")) == [("10.0.0.1", "10.0.0.8"), ("10.0.0.10", "10.0.0.254")]


def test_without_a_gateway_every_usable_address_is_in_the_pool() -> None:
    subnet = made(gateway=None)
    assert subnet.gateway_ip is None
    assert pools(subnet) == [("10.0.0.1", "10.0.0.254")]


def test_an_ipv6_subnet_has_no_broadcast_address() -> None:
    assert pools(made("2001:db8::/64")) == [("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")]


def test_pools_are_kept_in_order_and_canonical_form() -> None:
    given = [Pool("10.0.0.100", "10.0.0.110"), Pool("10.0.0.10", "10.0.0.20")]
    assert pools(made(pools=given)) == [("10.0.0.10", "10.0.0.20"), ("10.0.0.100", "10.0.0.110")]


def test_ipv6_addresses_are_written_one_way() -> None:
    subnet = made("2001:DB8::/64", dns_nameservers=["2001:DB8:0:0::53"])
    assert (subnet.cidr, subnet.dns_nameservers) == ("2001:db8::/64", ("2001:db8::53",))


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"cidr": "10.77.0.999/24"}, errors.InvalidInput),
        ({"cidr": "10.0.0.5/24"}, errors.InvalidInput),
        ({"cidr": "10.0.0.0"}, errors.InvalidInput),
        ({"cidr": "0.0.0.0/0", "enable_dhcp": False}, errors.InvalidInput),
        ({"cidr": "::/64"}, errors.InvalidInput),
        ({"cidr": "10.0.0.0/24", "ip_version": 6}, errors.InvalidInput),
        ({"cidr": "10.0.0.0/31"}, errors.InvalidInput),
        ({"cidr": "2001:db8::/127"}, errors.InvalidInput),
        ({"cidr": "224.0.0.0/24"}, errors.InvalidInput),
        ({"cidr": "127.0.0.0/24"}, errors.InvalidInput),
        ({"cidr": "0.0.0.0/24"}, errors.InvalidInput),
        ({"gateway": "10.0.0.0"}, errors.InvalidInput),
        ({"gateway": "10.0.0.255"}, errors.InvalidInput),
        ({"gateway": "nowhere"}, errors.InvalidInput),
        ({"gateway": "2001:db8::1"}, errors.InvalidInput),
        ({"ra_mode": "slaac"}, errors.InvalidInput),
        ({"cidr": "2001:db8::/64", "ra_mode": "slaac", "address_mode": "dhcpv6-stateful"}, errors.InvalidInput),
        ({"cidr": "2001:db8::/64", "ra_mode": "slaac", "enable_dhcp": False}, errors.InvalidInput),
        ({"cidr": "2001:db8::/80", "address_mode": "slaac"}, errors.InvalidInput),
        ({"cidr": "2001:db8::/80", "address_mode": "dhcpv6-stateless"}, errors.InvalidInput),
        ({"pools": [Pool("10.0.0.9", "10.0.0.2")]}, errors.InvalidAllocationPool),
        ({"pools": [Pool("x", "10.0.0.2")]}, errors.InvalidAllocationPool),
        ({"pools": [Pool("2001:db8::1", "2001:db8::2")]}, errors.InvalidAllocationPool),
        ({"pools": [Pool("10.0.0.2", "10.0.1.5")]}, errors.OutOfBoundsAllocationPool),
        ({"pools": [Pool("10.0.0.2", "10.0.0.255")]}, errors.OutOfBoundsAllocationPool),
        ({"pools": [Pool("10.0.0.1", "10.0.0.9")]}, errors.GatewayConflictWithAllocationPools),
        (
            {"pools": [Pool("10.0.0.2", "10.0.0.9"), Pool("10.0.0.9", "10.0.0.12")]},
            errors.OverlappingAllocationPools,
        ),
        ({"dns_nameservers": ["x"]}, errors.InvalidInput),
        ({"dns_nameservers": ["::1"]}, errors.InvalidInput),
        ({"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, errors.InvalidInput),
        ({"dns_nameservers": [f"9.9.9.{n}" for n in range(6)]}, errors.DNSNameServersExhausted),
        ({"host_routes": [Route("10.1.0.0/33", "10.0.0.9")]}, errors.InvalidInput),
        ({"host_routes": [Route("10.1.0.0/24", "::1")]}, errors.InvalidInput),
        ({"host_routes": [Route(f"10.{n}.0.0/24", "10.0.0.9") for n in range(21)]}, errors.HostRoutesExhausted),
    ],
)
def test_what_cannot_be_is_refused(facts: dict[str, object], error: type[Error]) -> None:
    with pytest.raises(error):
        made(**facts)


@pytest.mark.parametrize("cidr", ["10.0.0.0/31", "10.0.0.4/32", "224.0.0.0/24"])
def test_without_dhcp_odd_blocks_are_allowed(cidr: str) -> None:
    assert made(cidr, enable_dhcp=False, gateway=None).allocation_pools


def test_a_gateway_outside_the_subnet_is_allowed() -> None:
    assert made(gateway="192.0.2.1").gateway_ip == "192.0.2.1"


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [("10.0.0.0/25", True), ("10.0.0.0/16", True), ("10.0.1.0/24", False), ("2001:db8::/64", False)],
)
def test_subnets_of_a_network_share_no_address(other: str, overlaps: bool) -> None:
    if overlaps:
        with pytest.raises(errors.InvalidInput, match="overlaps with another subnet"):
            check_overlap(made(), [made(other, enable_dhcp=False)])
    else:
        check_overlap(made(), [made(other)])


@pytest.mark.parametrize(
    ("ra_mode", "address_mode", "is_automatic"),
    [
        (None, None, False), ("slaac", "slaac", True), (None, "slaac", True), ("dhcpv6-stateless", None, True),
        ("dhcpv6-stateful", "dhcpv6-stateful", False),
    ],
)  # fmt: skip
def test_guests_compute_their_addresses_under_slaac_and_stateless(
    ra_mode: str | None, address_mode: str | None, is_automatic: bool
) -> None:
    assert made("2001:db8::/64", ra_mode=ra_mode, address_mode=address_mode).is_automatic is is_automatic


def test_a_change_touches_what_it_names() -> None:
    old = made(name="a", dns_nameservers=["9.9.9.9"])
    new = changed(old, SubnetChange(name="b", gateway=None))
    assert msgspec.structs.replace(new, name="a", gateway_ip="10.0.0.1") == old


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (SubnetChange(gateway="10.0.0.7"), errors.GatewayConflictWithAllocationPools),
        (SubnetChange(pools=[Pool("10.0.0.1", "10.0.0.9")]), errors.GatewayConflictWithAllocationPools),
        (SubnetChange(pools=[Pool("10.0.9.1", "10.0.9.9")]), errors.OutOfBoundsAllocationPool),
        (SubnetChange(dns_nameservers=["?"]), errors.InvalidInput),
        (SubnetChange(host_routes=[Route("a", "b")]), errors.InvalidInput),
    ],
)
def test_a_change_is_judged_like_a_new_subnet(change: SubnetChange, error: type[Error]) -> None:
    with pytest.raises(error):
        changed(made(), change)


def test_gateway_and_pools_may_change_together() -> None:
    subnet = changed(made(), SubnetChange(gateway="10.0.0.254", pools=[Pool("10.0.0.1", "10.0.0.253")]))
    assert (subnet.gateway_ip, pools(subnet)) == ("10.0.0.254", [("10.0.0.1", "10.0.0.253")])


def test_dhcp_stays_on_where_ipv6_modes_are_set() -> None:
    with pytest.raises(errors.InvalidInput, match="Cannot disable"):
        changed(made("2001:db8::/64", address_mode="slaac"), SubnetChange(enable_dhcp=False))
