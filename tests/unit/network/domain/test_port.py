"""Ports: bindings that cannot be stolen by a latecomer, and texts that cannot become instructions."""

from typing import Any

import pytest

from pileus.foundation.errors import Error
from pileus.network.domain import errors
from pileus.network.domain.port import (
    ACTIVE,
    DOWN,
    DhcpOpt,
    Fence,
    Port,
    bind,
    bridge_name,
    check_pairs,
    check_security,
    check_security_change,
    merge_dhcp_opts,
    tap_name,
)
from pileus.network.drivers import base

ID = "01234567-89ab-cdef-0123-456789abcdef"


def port(**facts: Any) -> Port:
    made = {"id": ID, "network_id": ID, "project_id": "p", "tenant_id": "p", "mac_address": "fa:16:3e:00:00:01"}
    return Port(**{**made, **facts})


def attempt(epoch: int) -> dict[str, Any]:
    return {"pileus_epoch": epoch}


def bound(host: str, device: str, epoch: int, to: tuple[Port, Fence] | None = None) -> tuple[Port, Fence]:
    have, fence = to or (port(), Fence())
    return bind(have, fence, host=host, profile=attempt(epoch), device_id=device)


def test_a_bound_port_says_how_it_is_plugged() -> None:
    made, fence = bound("h1", "vm", 1)
    assert (made.host, made.vif_type, made.status) == ("h1", "bridge", DOWN)
    assert made.vif_details["tap_name"] == "tap01234567-89"
    assert made.vif_details["bridge_name"] == "br-01234567-89"
    assert (fence.device_id, fence.epoch, fence.number) == ("vm", 1, 1)


def test_devices_are_named_as_the_host_names_them() -> None:
    assert tap_name(ID) == base.tap_name(ID)
    assert bridge_name(ID) == base.bridge_name(ID)


def test_the_same_binding_again_changes_nothing() -> None:
    once = bound("h1", "vm", 1)
    assert bound("h1", "vm", 1, once) == once


def test_a_later_attempt_takes_the_port_to_another_host() -> None:
    made, fence = bound("h2", "vm", 2, bound("h1", "vm", 1))
    assert (made.host, fence.epoch, fence.number) == ("h2", 2, 2)


def test_an_earlier_attempt_comes_too_late() -> None:
    later = bound("h2", "vm", 2, bound("h1", "vm", 1))
    with pytest.raises(errors.StaleBinding):
        bound("h1", "vm", 1, later)


def test_an_earlier_attempt_cannot_let_go_of_the_port_either() -> None:
    have, fence = bound("h2", "vm", 2)
    with pytest.raises(errors.StaleBinding):
        bind(have, fence, host="", profile=attempt(1), device_id="")


def test_one_attempt_cannot_be_on_two_hosts() -> None:
    with pytest.raises(errors.StaleBinding):
        bound("h2", "vm", 1, bound("h1", "vm", 1))


def test_another_device_cannot_take_a_bound_port() -> None:
    with pytest.raises(errors.StaleBinding):
        bound("h1", "other", 9, bound("h1", "vm", 1))


def test_a_released_port_serves_another_device_whatever_its_epoch() -> None:
    released = bind(*bound("h1", "vm", 7), host="", profile={}, device_id="")
    made, fence = bound("h2", "other", 1, released)
    assert (made.host, fence.device_id, fence.epoch) == ("h2", "other", 1)


def test_an_old_attempt_is_refused_after_the_release_too() -> None:
    released = bind(*bound("h1", "vm", 7), host="", profile={}, device_id="")
    with pytest.raises(errors.StaleBinding):
        bound("h1", "vm", 6, released)


def test_every_binding_has_a_number_of_its_own() -> None:
    first = bound("h1", "vm", 1)
    released = bind(*first, host="", profile={}, device_id="")
    again = bound("h1", "vm", 2, released)
    assert [fence.number for _, fence in (first, released, again)] == [1, 2, 3]


def test_an_administrator_who_names_no_epoch_may_move_a_port() -> None:
    made, fence = bind(*bound("h1", "vm", 3), host="h2", profile=None, device_id=None)
    assert (made.host, fence.epoch, fence.number) == ("h2", 3, 2)


def test_an_active_port_stays_active_while_its_binding_does() -> None:
    have, fence = bound("h1", "vm", 1)
    have = port(**{name: getattr(have, name) for name in have.__struct_fields__} | {"status": ACTIVE})
    assert bind(have, fence, host=None, profile=None, device_id="vm")[0].status == ACTIVE
    assert bind(have, fence, host="", profile={}, device_id="")[0].status == DOWN


@pytest.mark.parametrize("epoch", ["1", 1.5, True, -1, 1 << 70, []])
def test_an_epoch_is_a_whole_number(epoch: Any) -> None:
    with pytest.raises(errors.InvalidInput):
        bind(port(), Fence(), host="h", profile={"pileus_epoch": epoch}, device_id="vm")


@pytest.mark.parametrize(
    "value", ["a\nb", "a\rb", "a\0b", "a\tb", 'a"b', "a\\b", "a#b", "é", " a", "a ", "", "x" * 256, "a\u2028b"]
)
def test_a_dhcp_option_cannot_carry_an_instruction(value: str) -> None:
    with pytest.raises(errors.InvalidInput):
        merge_dhcp_opts((), [{"opt_name": "bootfile-name", "opt_value": value}])


@pytest.mark.parametrize("name", ["a\nb", "a b", "", "-x", "a,b", "a=b"])
def test_a_dhcp_option_has_a_plain_name(name: str) -> None:
    with pytest.raises(errors.InvalidInput):
        merge_dhcp_opts((), [{"opt_name": name, "opt_value": "x"}])


def test_dhcp_options_are_set_and_taken_away_one_by_one() -> None:
    have = merge_dhcp_opts((), [{"opt_name": "a", "opt_value": "1"}, {"opt_name": "b", "opt_value": "2"}])
    assert merge_dhcp_opts(have, [{"opt_name": "a", "opt_value": None}, {"opt_name": "b", "opt_value": "3"}]) == (
        DhcpOpt("b", "3", 4),
    )


def test_address_pairs_take_the_ports_mac_and_one_form() -> None:
    pairs = check_pairs([{"ip_address": "10.0.0.7/24"}, {"ip_address": "2001:DB8::1", "mac_address": ""}], "m")
    assert [(pair.ip_address, pair.mac_address) for pair in pairs] == [("10.0.0.0/24", "m"), ("2001:db8::1", "m")]


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([{"ip_address": "x"}], errors.InvalidInput),
        ([{"ip_address": "224.0.0.5"}], errors.InvalidInput),
        ([{"ip_address": "ff02::1"}], errors.InvalidInput),
        ([{"ip_address": "10.0.0.1", "mac_address": "nope"}], errors.InvalidInput),
        ([{"ip_address": "10.0.0.1"}] * 2, errors.DuplicateAddressPairInRequest),
        ([{"ip_address": f"10.0.0.{n}"} for n in range(11)], errors.AllowedAddressPairExhausted),
    ],
)
def test_address_pairs_that_cannot_be_are_refused(pairs: list[dict[str, Any]], error: type[Error]) -> None:
    with pytest.raises(error):
        check_pairs(pairs, "fa:16:3e:00:00:01")


def test_without_port_security_there_are_neither_groups_nor_pairs() -> None:
    with pytest.raises(errors.PortSecurityAndIPRequiredForSecurityGroups):
        check_security(port(port_security_enabled=False, security_groups=("g",)))
    pairs = check_pairs([{"ip_address": "10.0.0.1"}], "fa:16:3e:00:00:01")
    with pytest.raises(errors.AddressPairAndPortSecurityRequired):
        check_security(port(port_security_enabled=False, allowed_address_pairs=pairs))


def test_port_security_cannot_go_while_groups_stay() -> None:
    old = port(security_groups=("g",))
    new = port(security_groups=("g",), port_security_enabled=False)
    with pytest.raises(errors.PortSecurityPortHasSecurityGroup):
        check_security_change(old, new, groups_given=False)
