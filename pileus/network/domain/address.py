"""IP addresses as family plus 16 bytes, ranges of them, and the arithmetic of subnets. Pure; v6 from the first day."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

BITS = {4: 32, 6: 128}


class Address(NamedTuple):
    """One address; ordered by family, then number."""

    family: int
    number: int

    @property
    def packed(self) -> bytes:
        """16 bytes, whatever the family, so that bytes order as numbers do."""
        return self.number.to_bytes(16, "big")

    def __str__(self) -> str:
        if self.family == 4:
            n = self.number
            return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"
        return str(ipaddress.IPv6Address(self.number))


def parse(text: str) -> Address:
    """The address that a text names. Raises ValueError; a zone ("%eth0") is none of ours."""
    if "%" in text:
        raise ValueError(f"{text!r} is not a valid IP address")
    found = ipaddress.ip_address(text)
    return Address(found.version, int(found))


def unpack(family: int, packed: bytes) -> Address:
    """The address that `packed` came from."""
    return Address(family, int.from_bytes(packed, "big"))


class Range(NamedTuple):
    """Addresses from `first` to `last`, both included, as numbers of one family."""

    first: int
    last: int

    def holds(self, number: int) -> bool:
        return self.first <= number <= self.last

    def overlaps(self, other: "Range") -> bool:
        return self.first <= other.last and other.first <= self.last


class Cidr(NamedTuple):
    """A block of addresses without host bits."""

    family: int
    network: int
    prefix: int

    @property
    def range(self) -> Range:
        return Range(self.network, self.network | (1 << (BITS[self.family] - self.prefix)) - 1)

    @property
    def usable(self) -> Range:
        """What ports may have: without the network's own and the broadcast address where there are such."""
        first, last = self.range
        low, high = first + 1, last - (self.family == 4)
        return Range(low, high) if low < high else Range(first, last)

    def holds(self, address: Address) -> bool:
        return address.family == self.family and self.range.holds(address.number)

    def __str__(self) -> str:
        return f"{Address(self.family, self.network)}/{self.prefix}"


def parse_cidr(text: str) -> Cidr:
    """The block that a text names. Raises ValueError when it is none, has no prefix length, or has host bits."""
    if "/" not in text or "%" in text:
        raise ValueError(f"{text!r} is not a CIDR")
    found = ipaddress.ip_network(text)
    return Cidr(found.version, int(found.network_address), found.prefixlen)


def parse_loose_cidr(text: str) -> Cidr:
    """As `parse_cidr`, but host bits are cut off and a bare address is a block of one."""
    if "%" in text:
        raise ValueError(f"{text!r} is not a CIDR")
    found = ipaddress.ip_network(text, strict=False)
    return Cidr(found.version, int(found.network_address), found.prefixlen)


def is_multicast(address: Address) -> bool:
    return address.number >> 28 == 14 if address.family == 4 else address.number >> 120 == 0xFF


def is_loopback(address: Address) -> bool:
    return address.number >> 24 == 127 if address.family == 4 else address.number == 1


def without(ranges: Iterable[Range], number: int) -> list[Range]:
    """The ranges with one number cut out."""
    left: list[Range] = []
    for item in ranges:
        if not item.holds(number):
            left.append(item)
            continue
        if item.first < number:
            left.append(Range(item.first, number - 1))
        if number < item.last:
            left.append(Range(number + 1, item.last))
    return left


def free_ranges(pools: Sequence[Range], taken: Iterable[int]) -> list[Range]:
    """What of the pools is not taken, ascending; pools that touch become one range."""
    merged: list[Range] = []
    for pool in sorted(pools):
        if merged and pool.first <= merged[-1].last + 1:
            merged[-1] = Range(merged[-1].first, max(merged[-1].last, pool.last))
        else:
            merged.append(pool)
    free: list[Range] = []
    numbers = iter(sorted(set(taken)))
    number = next(numbers, None)
    for pool in merged:
        low = pool.first
        while number is not None and number <= pool.last:
            if number >= low:
                if number > low:
                    free.append(Range(low, number - 1))
                low = number + 1
            number = next(numbers, None)
        if low <= pool.last:
            free.append(Range(low, pool.last))
    return free


def eui64(prefix: Cidr, mac: str) -> Address:
    """The address that a guest with this MAC gives itself in a /64 (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return Address(6, prefix.network | int.from_bytes(interface, "big"))
