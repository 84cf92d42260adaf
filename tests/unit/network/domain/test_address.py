"""Addresses, blocks and gaps: the arithmetic that allocation stands on."""

import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pileus.network.domain.address import (
    Address,
    Cidr,
    Range,
    eui64,
    free_ranges,
    parse,
    parse_cidr,
    parse_loose_cidr,
    unpack,
    without,
)


@given(st.ip_addresses())
def test_an_address_survives_text_and_bytes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    ours = parse(str(address))
    assert str(ours) == str(address)
    assert unpack(ours.family, ours.packed) == ours
    assert len(ours.packed) == 16


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_bytes_order_as_numbers_do(one: ipaddress.IPv4Address, two: ipaddress.IPv4Address) -> None:
    assert (parse(str(one)).packed < parse(str(two)).packed) == (one < two)


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "10.0.0.1/24", " 10.0.0.1", "1::2::3"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse(text)


@pytest.mark.parametrize("text", ["10.0.0.5/24", "10.0.0.0", "10.0.0.0/33", "::1/64", "fe80::%1/64"])
def test_a_block_has_a_prefix_and_no_host_bits(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_cidr(text)


def test_a_loose_block_cuts_host_bits() -> None:
    assert str(parse_loose_cidr("10.0.0.5/24")) == "10.0.0.0/24"
    assert str(parse_loose_cidr("10.0.0.5")) == "10.0.0.5/32"


@pytest.mark.parametrize(
    ("cidr", "first", "last"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
        ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("10.0.0.4/32", "10.0.0.4", "10.0.0.4"),
        ("2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
        ("2001:db8::/127", "2001:db8::", "2001:db8::1"),
    ],
)
def test_what_of_a_block_ports_may_have(cidr: str, first: str, last: str) -> None:
    assert parse_cidr(cidr).usable == Range(parse(first).number, parse(last).number)


def test_a_block_holds_addresses_of_its_family_alone() -> None:
    block = Cidr(4, 0, 1)
    assert block.holds(parse("1.2.3.4"))
    assert not block.holds(Address(6, 0x01020304))


def test_a_guest_computes_its_address_from_its_mac() -> None:
    # Source: RFC 4291, appendix A.
    assert str(eui64(parse_cidr("2001:db8::/64"), "fa:16:3e:00:00:01")) == "2001:db8::f816:3eff:fe00:1"


def test_cutting_one_number_out_leaves_both_sides() -> None:
    assert without([Range(1, 5)], 3) == [Range(1, 2), Range(4, 5)]
    assert without([Range(1, 5)], 1) == [Range(2, 5)]
    assert without([Range(1, 1)], 1) == []
    assert without([Range(1, 5)], 9) == [Range(1, 5)]


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda t: Range(t[0], t[0] + t[1])), max_size=6)


@given(RANGES, st.sets(st.integers(0, 70), max_size=30))
def test_what_is_free_is_what_pools_hold_and_nobody_has(pools: list[Range], taken: set[int]) -> None:
    found = free_ranges(pools, taken)
    numbers = [n for item in found for n in range(item.first, item.last + 1)]
    assert sorted(numbers) == sorted({n for p in pools for n in range(p.first, p.last + 1)} - taken)
    assert all(one.last + 1 < two.first for one, two in itertools.pairwise(found))
