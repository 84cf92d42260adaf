"""Which texts a DHCP server may read: tables, hostile ones above all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pileus.network.domain import dhcp_text


@pytest.mark.parametrize("text", ["a", "web-1", "WEB", "1", "a" * 63])
def test_a_host_name_is_one_label(text: str) -> None:
    assert dhcp_text.is_host_name(text)


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "a.b", "a b", "a\n", "\na", "a,b", "ä", "a_b", "a" * 64, "a\0", "a#", "a\u2028"]
)
def test_anything_else_is_no_host_name(text: str) -> None:
    assert not dhcp_text.is_host_name(text)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("example.org", True), ("example.org.", True), ("openstacklocal", True), ("", False), (".", False),
        ("a..b", False), ("a.b\n", False), ("a.b/c", False), (".".join(["a" * 60] * 5), False),
    ],
)  # fmt: skip
def test_a_domain_name_is_labels_and_dots(text: str, allowed: bool) -> None:
    assert dhcp_text.is_domain_name(text) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("fa:16:3e:00:00:01", True), ("FA:16:3E:00:00:01", False), ("01:00:5e:00:00:01", False),
        ("00:00:00:00:00:00", False), ("fa:16:3e:00:00", False), ("fa:16:3e:00:00:01\n", False),
        ("fa-16-3e-00-00-01", False),
    ],
)  # fmt: skip
def test_a_mac_is_one_interfaces(text: str, allowed: bool) -> None:
    assert dhcp_text.is_mac(text) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("10.0.0.1", True), ("fd00::1", True), ("10.0.0.256", False), ("010.0.0.1", False), ("10.0.0.1\n", False),
        ("fe80::1%eth0", False), ("", False), ("167772161", False), ("10.0.0.1,10.0.0.2", False),
    ],
)  # fmt: skip
def test_an_address_is_written_in_full_form(text: str, allowed: bool) -> None:
    assert dhcp_text.is_address(text) is allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("10.0.0.0/24", True), ("fd00::/64", True), ("0.0.0.0/0", True), ("10.0.0.1/24", False), ("10.0.0.0", False),
        ("10.0.0.0/33", False), ("10.0.0.0/24\n", False), ("fe80::%eth0/64", False),
    ],
)  # fmt: skip
def test_a_cidr_has_a_length_and_no_host_bits(text: str, allowed: bool) -> None:
    assert dhcp_text.is_cidr(text) is allowed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootfile-name", "http://boot.example/x.ipxe?mac=${net0/mac}&a=1"),
        ("150", "10.0.0.1,10.0.0.2"),
        ("server-ip-address", "[fd00::1]"),
        ("domain-search", "a.example, b.example"),
    ],
)
def test_what_users_ask_of_dhcp_is_allowed(name: str, value: str) -> None:
    assert dhcp_text.is_dhcp_option(name, value)


@given(st.text(max_size=300))
def test_no_allowed_value_can_end_a_line_open_a_quote_or_begin_a_comment(value: str) -> None:
    if dhcp_text.is_dhcp_option("150", value):
        assert value.isascii()
        assert value.isprintable()
        assert not set(value) & set("\"'`\\#")
        assert value == value.strip()


@pytest.mark.parametrize("name", ["", "tag:x,3", "option:3", "a b", "a\n", "-a", "3,4", "x" * 65])
def test_an_option_has_a_plain_name(name: str) -> None:
    assert not dhcp_text.is_dhcp_option(name, "x")
