"""Rules of security groups: one form for what is the same, and no for what cannot be enforced."""

import pytest

from pileus.foundation.errors import Error
from pileus.network.domain import errors
from pileus.network.domain.security_group import NewRule, Rule, fingerprint, first_rules, is_repeated, plan_rule


def made(**facts: object) -> Rule:
    new = NewRule(**{"security_group_id": "g", "direction": "ingress", **facts})  # type: ignore[arg-type]
    return plan_rule(new, id="r", project_id="p", in_default=False)


@pytest.mark.parametrize(
    ("protocol", "ethertype", "kept"),
    [
        ("tcp", "IPv4", "tcp"), ("TCP", "IPv4", "tcp"), ("6", "IPv4", "6"), ("icmp", "IPv6", "ipv6-icmp"),
        ("icmpv6", "IPv6", "ipv6-icmp"), ("any", "IPv4", None), ("0", "IPv4", None), (None, "IPv4", None),
        ("vrrp", "IPv4", "vrrp"), ("255", "IPv4", "255"),
    ],
)  # fmt: skip
def test_protocols_have_one_form(protocol: str | None, ethertype: str, kept: str | None) -> None:
    assert made(protocol=protocol, ethertype=ethertype).protocol == kept


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"protocol": "nope"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": "256"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": "-1"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": "tcp\n"}, errors.SecurityGroupRuleInvalidProtocol),
        ({"protocol": "icmpv6"}, errors.SecurityGroupEthertypeConflictWithProtocol),
        ({"port_min": 1, "port_max": 2}, errors.SecurityGroupProtocolRequiredWithPorts),
        ({"protocol": "tcp", "port_min": 9, "port_max": 2}, errors.SecurityGroupInvalidPortRange),
        ({"protocol": "tcp", "port_min": 9}, errors.SecurityGroupInvalidPortRange),
        ({"protocol": "udp", "port_min": 0, "port_max": 2}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "tcp", "port_min": -1, "port_max": -2}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "udp", "port_min": 1, "port_max": 65536}, errors.SecurityGroupInvalidPortValue),
        ({"protocol": "vrrp", "port_min": 1, "port_max": 2}, errors.SecurityGroupInvalidProtocolForPort),
        ({"protocol": "icmp", "port_min": 256}, errors.SecurityGroupInvalidIcmpValue),
        ({"protocol": "icmp", "port_max": 1}, errors.SecurityGroupMissingIcmpType),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "x"}, errors.SecurityGroupMultipleRemoteEntites),
        ({"remote_ip_prefix": "nowhere"}, errors.InvalidCIDR),
        ({"remote_ip_prefix": "2001:db8::/32"}, errors.SecurityGroupRuleParameterConflict),
        ({"remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv6"}, errors.SecurityGroupRuleParameterConflict),
    ],
)
def test_what_cannot_be_enforced_is_refused(facts: dict[str, object], error: type[Error]) -> None:
    with pytest.raises(error):
        made(**facts)


def test_the_whole_port_range_is_no_range() -> None:
    rule = made(protocol="tcp", port_min=1, port_max=65535)
    assert (rule.port_range_min, rule.port_range_max) == (None, None)


def test_a_prefix_is_shown_as_written_and_without_host_bits() -> None:
    rule = made(remote_ip_prefix="10.1.2.3/8")
    assert (rule.remote_ip_prefix, rule.normalized_cidr) == ("10.1.2.3/8", "10.0.0.0/8")
    assert made(remote_ip_prefix="10.1.2.3").remote_ip_prefix == "10.1.2.3/32"


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ({"protocol": "tcp"}, {"protocol": "6"}, True),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {}, True),
        ({"remote_ip_prefix": "10.1.0.0/8"}, {"remote_ip_prefix": "10.2.0.0/8"}, True),
        ({"description": "a"}, {"description": "b"}, True),
        ({"protocol": "tcp"}, {"protocol": "udp"}, False),
        ({"direction": "egress"}, {}, False),
        ({"ethertype": "IPv6"}, {}, False),
        ({"remote_group_id": "g"}, {}, False),
    ],
)
def test_equal_rules_are_known_by_their_meaning(one: dict[str, object], two: dict[str, object], same: bool) -> None:
    assert (fingerprint(made(**one)) == fingerprint(made(**two))) is same
    assert is_repeated([made(**one), made(**two)]) is same


def test_the_default_group_lets_its_own_ports_in() -> None:
    rules = first_rules("g", is_default=True)
    assert sorted((rule.direction, rule.ethertype, rule.remote_group_id) for rule in rules) == [
        ("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", "g"), ("ingress", "IPv6", "g"),
    ]  # fmt: skip
    assert [rule.direction for rule in first_rules("g", is_default=False)] == ["egress", "egress"]
