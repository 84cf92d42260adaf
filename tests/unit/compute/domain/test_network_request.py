"""Which networks a request asks for."""

from typing import Any

import pytest

from pileus.compute.domain.errors import NetworkInvalid
from pileus.compute.domain.network_request import AUTO, NONE, check_count, ports_to_create, read_networks


@pytest.mark.parametrize("asked", [None, [], "auto"])
def test_nothing_in_particular_is_auto(asked: Any) -> None:
    assert read_networks(asked) == AUTO


def test_none_is_no_network() -> None:
    assert read_networks("none") == NONE
    assert (ports_to_create(NONE), ports_to_create(AUTO)) == (0, 1)


def test_networks_and_ports_are_kept_in_order() -> None:
    request = read_networks(
        [{"uuid": "n1", "fixed_ip": "10.0.0.7", "tag": "a"}, {"port": "p1"}, {"uuid": "n2", "port": None}]
    )
    assert [(nic.network_id, nic.port_id, nic.fixed_ip, nic.tag) for nic in request.nics] == [
        ("n1", None, "10.0.0.7", "a"), (None, "p1", None, None), ("n2", None, None, None),
    ]  # fmt: skip
    assert ports_to_create(request) == 2


def test_an_ipv6_address_is_written_the_short_way() -> None:
    assert read_networks([{"uuid": "n", "fixed_ip": "2001:DB8:0::1"}]).nics[0].fixed_ip == "2001:db8::1"


@pytest.mark.parametrize(
    "asked",
    [
        [{}],
        [{"tag": "x"}],
        [{"port": "p", "fixed_ip": "10.0.0.1"}],
        [{"uuid": "n", "fixed_ip": "10.0.0.256"}],
        [{"port": "p"}, {"port": "p"}],
        [{"uuid": "n", "fixed_ip": "10.0.0.1"}, {"uuid": "n", "fixed_ip": "10.0.0.1"}],
        [{"uuid": "n", "tag": "t"}, {"uuid": "m", "tag": "t"}],
        "nonsense",
    ],
)
def test_networks_that_contradict_themselves_are_refused(asked: Any) -> None:
    with pytest.raises(NetworkInvalid):
        read_networks(asked)


@pytest.mark.parametrize("asked", [[{"port": "p"}], [{"uuid": "n", "fixed_ip": "10.0.0.1"}]])
def test_several_servers_share_neither_port_nor_address(asked: list[dict[str, Any]]) -> None:
    request = read_networks(asked)
    check_count(request, 1)
    with pytest.raises(NetworkInvalid):
        check_count(request, 2)
