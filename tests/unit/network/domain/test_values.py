"""The smaller values: segments, MACs, times, quotas, routes, floating IPs, documents."""

from typing import Any

import pytest

from pileus.foundation.errors import Error
from pileus.network.domain import errors, mac, moment, quota
from pileus.network.domain.address import parse_cidr
from pileus.network.domain.document import cut, read, render
from pileus.network.domain.floating_ip import FloatingIp, associated, choose_fixed
from pileus.network.domain.network import HIDDEN, Network, Segment, check_mtu, check_segment, segment_key
from pileus.network.domain.port import FixedIp, Port
from pileus.network.domain.router import Leg, check_new_leg, check_routes
from pileus.network.domain.subnet import Route


@pytest.mark.parametrize(
    ("segment", "is_possible"),
    [
        (Segment("local"), True), (Segment("local", "public"), False), (Segment("local", None, 5), False),
        (Segment("flat", "public"), True), (Segment("flat"), False), (Segment("flat", "other"), False),
        (Segment("flat", "public", 7), False), (Segment("vlan", "public", 7), True),
        (Segment("vlan", "public"), False), (Segment("vlan", "public", 4095), False), (Segment("vxlan"), True),
        (Segment("vxlan", None, 77), True), (Segment("vxlan", None, 0), False),
        (Segment("vxlan", None, 1 << 24), False), (Segment("vxlan", "public"), False), (Segment("ham-radio"), False),
    ],
)  # fmt: skip
def test_only_segments_that_a_wire_can_be_are_taken(segment: Segment, is_possible: bool) -> None:
    if is_possible:
        check_segment(segment, ("public",))
    else:
        with pytest.raises(errors.InvalidInput):
            check_segment(segment, ("public",))


def test_local_networks_share_nothing_so_nothing_can_be_taken() -> None:
    assert segment_key(Segment("local")) is None
    assert segment_key(Segment("vlan", "public", 7)) == segment_key(Segment("vlan", "public", 7))


@pytest.mark.parametrize(("mtu", "families", "is_enough"), [(68, {4}, True), (67, {4}, False), (1279, {4, 6}, False)])
def test_an_mtu_leaves_room_for_its_subnets(mtu: int, families: set[int], is_enough: bool) -> None:
    if is_enough:
        check_mtu("n", mtu, families)
    else:
        with pytest.raises(errors.NetworkMTUSubnetConflict):
            check_mtu("n", mtu, families)


def test_a_made_mac_has_the_usual_prefix() -> None:
    assert mac.generated(b"\x00\x0a\xff") == "fa:16:3e:00:0a:ff"


def test_a_mac_has_one_form() -> None:
    assert mac.canonical("FA-16-3E-00-00-01") == "fa:16:3e:00:00:01"


@pytest.mark.parametrize(
    "text", ["", "x", "00:00:00:00:00:00", "01:00:5e:00:00:01", "fa:16:3e:00:00", "fa:16:3e:00:00:01\n", "fa163e000001"]
)
def test_a_mac_belongs_to_one_interface(text: str) -> None:
    with pytest.raises(ValueError, match="not a valid MAC"):
        mac.canonical(text)


def test_times_are_written_in_seconds() -> None:
    assert moment.written(1_767_323_045_999_999) == "2026-01-02T03:04:05Z"
    assert moment.read("2026-01-02T03:04:05Z") == moment.read("2026-01-02T03:04:05") == 1_767_323_045_000_000


@pytest.mark.parametrize(("limit", "used", "fits"), [(5, 4, True), (5, 5, False), (-1, 10**6, True), (0, 0, False)])
def test_a_quota_is_a_limit_or_none(limit: int, used: int, fits: bool) -> None:
    if fits:
        quota.check("port", limit, used, 1)
    else:
        with pytest.raises(errors.OverQuota, match=r"\['port'\]"):
            quota.check("port", limit, used, 1)


LEGS = [Leg("p", "s1", parse_cidr("10.0.0.0/24"), "10.0.0.1")]


@pytest.mark.parametrize(
    ("routes", "error"),
    [
        ([Route("10.9.0.0/24", "192.0.2.1")], errors.InvalidRoutes),
        ([Route("10.9.0.0/24", "10.0.0.1")], errors.InvalidRoutes),
        ([Route("10.9.0.0", "10.0.0.9")], errors.InvalidRoutes),
        ([Route("2001:db8::/64", "10.0.0.9")], errors.InvalidRoutes),
        ([Route("10.9.0.0/24", "10.0.0.9")] * 2, errors.InvalidRoutes),
        ([Route(f"10.{n}.0.0/24", "10.0.0.9") for n in range(4)], errors.RoutesExhausted),
    ],
)
def test_routes_a_router_cannot_take_are_refused(routes: list[Route], error: type[Error]) -> None:
    with pytest.raises(error):
        check_routes("r", routes, LEGS, 3)


def test_a_route_by_a_neighbour_is_taken() -> None:
    assert check_routes("r", [Route("10.9.0.0/24", "10.0.0.9")], LEGS, 3) == (Route("10.9.0.0/24", "10.0.0.9"),)


def test_a_router_joins_a_subnet_once_and_no_overlapping_ones() -> None:
    with pytest.raises(errors.BadRequest, match="already has a port"):
        check_new_leg(parse_cidr("10.0.0.0/24"), "s1", LEGS)
    with pytest.raises(errors.BadRequest, match="overlaps"):
        check_new_leg(parse_cidr("10.0.0.0/16"), "s2", LEGS)
    check_new_leg(parse_cidr("10.0.1.0/24"), "s2", LEGS)


def port(*addresses: str) -> Port:
    fixed: Any = tuple(FixedIp("s", address) for address in addresses)
    return Port(
        id="port", network_id="n", project_id="p", tenant_id="p", mac_address="fa:16:3e:00:00:01", fixed_ips=fixed
    )


def test_a_floating_ip_takes_the_only_ipv4_address() -> None:
    assert choose_fixed(port("2001:db8::1", "10.0.0.2"), None).ip_address == "10.0.0.2"
    assert choose_fixed(port("10.0.0.2", "10.0.0.3"), "10.0.0.3").ip_address == "10.0.0.3"


@pytest.mark.parametrize(
    ("addresses", "asked"),
    [((), None), (("2001:db8::1",), None), (("10.0.0.2", "10.0.0.3"), None), (("10.0.0.2",), "10.0.0.9"),
     (("2001:db8::1",), "2001:db8::1")],
)  # fmt: skip
def test_a_floating_ip_needs_one_clear_ipv4_address(addresses: tuple[str, ...], asked: str | None) -> None:
    with pytest.raises(errors.BadRequest):
        choose_fixed(port(*addresses), asked)


def test_a_floating_ip_is_active_while_it_points() -> None:
    loose = FloatingIp(id="f", tenant_id="p", project_id="p", floating_ip_address="1.2.3.4", floating_network_id="n")
    pointing = associated(loose, port_id="x", fixed_address="10.0.0.2", router_id="r")
    assert (loose.status, pointing.status) == ("DOWN", "ACTIVE")
    assert associated(pointing, port_id=None, fixed_address=None, router_id=None) == loose


def test_a_document_is_the_value_and_can_lose_its_hidden_end() -> None:
    nasty = f'x","{HIDDEN}":"y'
    network = Network(id="n", name=nasty, tenant_id="p", project_id="p", segmentation_id=7)
    document = render(network)
    assert read(document, Network) == network
    shown = cut(document, HIDDEN)
    assert read(shown, Network).name == nasty
    assert "segmentation_id" not in shown


def test_an_errors_name_is_its_type_and_survives_the_bus() -> None:
    from pileus.foundation.errors import from_wire, to_wire

    error = errors.NetworkInUse(network_id="n", ports="p")
    assert errors.type_of(error) == errors.type_of(from_wire(to_wire(error))) == "NetworkInUse"
