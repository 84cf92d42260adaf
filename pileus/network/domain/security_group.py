"""Security groups and their rules: which traffic a port lets through."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pileus.network.domain.address import parse_loose_cidr
from pileus.network.domain.errors import (
    InvalidCIDR,
    SecurityGroupEthertypeConflictWithProtocol,
    SecurityGroupInvalidIcmpValue,
    SecurityGroupInvalidPortRange,
    SecurityGroupInvalidPortValue,
    SecurityGroupInvalidProtocolForPort,
    SecurityGroupMissingIcmpType,
    SecurityGroupMultipleRemoteEntites,
    SecurityGroupProtocolRequiredWithPorts,
    SecurityGroupRuleInvalidProtocol,
    SecurityGroupRuleParameterConflict,
)

DEFAULT = "default"
DEFAULT_DESCRIPTION = "Default security group"
INGRESS, EGRESS = "ingress", "egress"
IPV4, IPV6 = "IPv4", "IPv6"
ANYWHERE = {IPV4: "0.0.0.0/0", IPV6: "::/0"}

# Source: IANA "Protocol Numbers"; the names are those the Networking API knows.
PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136,
    "vrrp": 112,
}  # fmt: skip
WITH_PORTS = frozenset({33, 132, 6, 17, 136})
ICMP, ICMPV6 = 1, 58
ONLY_IPV6 = frozenset({"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"})


class SecurityGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group as rows hold it; answers add its rules."""

    id: str
    name: str = ""
    stateful: bool = True
    tenant_id: str
    project_id: str
    description: str = ""
    shared: bool = False
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 1


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as rows and answers hold it."""

    id: str
    project_id: str
    security_group_id: str
    ethertype: str = IPV4
    direction: str
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_address_group_id: str | None = None
    normalized_cidr: str | None = None
    remote_group_id: str | None = None
    belongs_to_default_sg: bool = False
    description: str = ""
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0
    tenant_id: str


class NewRule(NamedTuple):
    """What a caller asks for, not yet judged."""

    security_group_id: str
    direction: str
    ethertype: str = IPV4
    protocol: str | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    description: str = ""


def plan_rule(new: NewRule, *, id: str, project_id: str, in_default: bool) -> Rule:
    """The rule that a request describes, in canonical form.

    Raises: the SecurityGroup... errors and InvalidInput (400).
    Source: Networking API reference, "Create security group rule".
    """
    protocol = _protocol(new.protocol, new.ethertype)
    low, high = _ports(protocol, new.port_min, new.port_max)
    if new.remote_ip_prefix is not None and new.remote_group_id is not None:
        raise SecurityGroupMultipleRemoteEntites()
    prefix, normal = _prefix(new.remote_ip_prefix, new.ethertype)
    return Rule(
        id=id,
        project_id=project_id,
        tenant_id=project_id,
        security_group_id=new.security_group_id,
        ethertype=new.ethertype,
        direction=new.direction,
        protocol=protocol,
        port_range_min=low,
        port_range_max=high,
        remote_ip_prefix=prefix,
        normalized_cidr=normal,
        remote_group_id=new.remote_group_id,
        belongs_to_default_sg=in_default,
        description=new.description,
    )


def _protocol(given: str | None, ethertype: str) -> str | None:
    if given is None or given.lower() in ("any", ""):
        return None
    name = given.lower()
    if name.isascii() and name.isdigit() and len(name) <= 3:
        if int(name) > 255:
            raise SecurityGroupRuleInvalidProtocol(protocol=given, values=sorted(PROTOCOLS))
        if name in ("0",):
            return None
        return str(int(name))
    if name not in PROTOCOLS:
        raise SecurityGroupRuleInvalidProtocol(protocol=given, values=sorted(PROTOCOLS))
    if name in ONLY_IPV6 and ethertype != IPV6:
        raise SecurityGroupEthertypeConflictWithProtocol(ethertype=ethertype, protocol=given)
    if name == "icmpv6" or (name == "icmp" and ethertype == IPV6):
        return "ipv6-icmp"
    return None if name == "ip" else name


def protocol_number(protocol: str | None) -> int | None:
    """The number of a rule's protocol; None means every protocol."""
    if protocol is None:
        return None
    return int(protocol) if protocol.isdigit() else PROTOCOLS[protocol]


def _ports(protocol: str | None, low: int | None, high: int | None) -> tuple[int | None, int | None]:
    for value in (low, high):
        if value is not None and not 0 <= value <= 65535:
            raise SecurityGroupInvalidPortValue(port=value)
    if low is None and high is None:
        return None, None
    if protocol is None:
        raise SecurityGroupProtocolRequiredWithPorts()
    number = protocol_number(protocol)
    if number in WITH_PORTS:
        if low == 0 or high == 0:
            raise SecurityGroupInvalidPortValue(port=0)
        if low is None or high is None or low > high:
            raise SecurityGroupInvalidPortRange()
        return (None, None) if (low, high) == (1, 65535) else (low, high)
    if number in (ICMP, ICMPV6):
        for value, attribute, field in ((low, "port_range_min", "type"), (high, "port_range_max", "code")):
            if value is not None and not 0 <= value <= 255:
                raise SecurityGroupInvalidIcmpValue(field=field, attribute=attribute, value=value)
        if low is None:
            raise SecurityGroupMissingIcmpType(value=high)
        return low, high
    raise SecurityGroupInvalidProtocolForPort(protocol=protocol)


def _prefix(text: str | None, ethertype: str) -> tuple[str | None, str | None]:
    """The prefix as the caller wrote it, made a CIDR, and the same without host bits."""
    if text is None:
        return None, None
    try:
        block = parse_loose_cidr(text)
    except ValueError:
        raise InvalidCIDR(input=text) from None
    if (block.family == 4) != (ethertype == IPV4):
        raise SecurityGroupRuleParameterConflict(ethertype=ethertype, cidr=text)
    return (text if "/" in text else str(block)), str(block)


def fingerprint(rule: Rule) -> str:
    """What two equal rules of one group have in common."""
    everywhere = rule.normalized_cidr in (None, ANYWHERE[rule.ethertype])
    number = protocol_number(rule.protocol)
    parts = (
        rule.direction, rule.ethertype, number, rule.port_range_min, rule.port_range_max,
        None if everywhere else rule.normalized_cidr, rule.remote_group_id,
    )  # fmt: skip
    return "|".join("" if part is None else str(part) for part in parts)


def first_rules(group_id: str, *, is_default: bool) -> list[NewRule]:
    """What a new group lets through: everything out; the default one also everything from its own ports."""
    rules = [NewRule(group_id, EGRESS, ethertype) for ethertype in (IPV4, IPV6)]
    if is_default:
        rules += [NewRule(group_id, INGRESS, ethertype, remote_group_id=group_id) for ethertype in (IPV4, IPV6)]
    return rules


def is_repeated(rules: Iterable[Rule]) -> bool:
    """Whether two of the rules are equal."""
    prints = [(rule.security_group_id, fingerprint(rule)) for rule in rules]
    return len(set(prints)) != len(prints)
