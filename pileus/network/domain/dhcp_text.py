"""Which texts may go into files that a DHCP server reads, where a newline or a quote could become an instruction.

Only what is listed here is allowed; everything else, control characters above all, is refused. (Others were hurt:
OSSA-2021-005.)
"""

import ipaddress
import re

_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(_LABEL)
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_OPTION_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,63}")
_OPTION_VALUE = re.compile(r"(?! )[A-Za-z0-9 !$%&()*+,./:;<=>?@\[\]^_{|}~-]{1,255}(?<! )")


def is_host_name(text: str) -> bool:
    """One label of a DNS name."""
    return _HOST.fullmatch(text) is not None


def is_domain_name(text: str) -> bool:
    """Labels with dots between them, at most 253 characters."""
    return len(text) <= 253 and _DOMAIN.fullmatch(text) is not None


def is_mac(text: str) -> bool:
    """The address of one interface, in lower case: neither a group's address nor nobody's."""
    return _MAC.fullmatch(text) is not None and not int(text[:2], 16) & 1 and text != "00:00:00:00:00:00"


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address, without a zone."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def is_cidr(text: str) -> bool:
    """A network's address with its prefix length, and no host bits."""
    try:
        return "/" in text and "%" not in text and bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def is_dhcp_option(name: str, value: str) -> bool:
    """An option that a user may ask for: a name or number, and printable ASCII without quotes, backslash or hash."""
    return _OPTION_NAME.fullmatch(name) is not None and _OPTION_VALUE.fullmatch(value) is not None
