"""A guest without a hypervisor: speaks DHCP over a port's tap, or lives in a namespace on the network's bridge."""

import fcntl
import ipaddress
import os
import select
import socket
import struct
import time
from dataclasses import dataclass, field

from pileus.foundation.namespaces import in_namespace
from tests.contract.networks.machine import run

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_VNET_HDR = bytes(10)
_COOKIE = b"\x63\x82\x53\x63"
PATIENCE_S = 10.0


class Tap:
    """The guest's end of a tap device, as QEMU has it."""

    def __init__(self, name: str):
        self._fd = os.open("/dev/net/tun", os.O_RDWR)
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(self._fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))

    def send(self, frame: bytes) -> None:
        os.write(self._fd, _VNET_HDR + frame)

    def receive(self, timeout_s: float) -> bytes | None:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return None
        return os.read(self._fd, 65536)[len(_VNET_HDR) :]

    def close(self) -> None:
        os.close(self._fd)


@dataclass
class Answer:
    """A DHCP server's answer."""

    kind: int
    address: str
    options: dict[int, bytes] = field(default_factory=dict)

    def addresses(self, number: int) -> list[str]:
        raw = self.options.get(number, b"")
        return [str(ipaddress.IPv4Address(raw[at : at + 4])) for at in range(0, len(raw), 4)]

    def text(self, number: int) -> str:
        return self.options.get(number, b"").decode()

    def routes(self, number: int = 121) -> dict[str, str]:
        """Destination to next hop, of the option that RFC 3442 describes."""
        raw, found = self.options.get(number, b""), {}
        while raw:
            length = raw[0]
            octets = (length + 7) // 8
            network = ipaddress.IPv4Address(raw[1 : 1 + octets].ljust(4, b"\0"))
            found[f"{network}/{length}"] = str(ipaddress.IPv4Address(raw[1 + octets : 5 + octets]))
            raw = raw[5 + octets :]
        return found


DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6


def ask_dhcp(tap: Tap, mac: str) -> Answer | None:
    """Ask for an address as a booting guest does; None when nobody offers one in time."""
    offer = _exchange(tap, mac, DISCOVER, {}, OFFER)
    if offer is None:
        return None
    wanted = {50: ipaddress.IPv4Address(offer.address).packed, 54: offer.options[54]}
    return _exchange(tap, mac, REQUEST, wanted, ACK)


def renew_dhcp(tap: Tap, mac: str, address: str) -> Answer | None:
    """Ask for an address that was given before, as a rebooting guest does, whoever gave it."""
    return _exchange(tap, mac, REQUEST, {50: ipaddress.IPv4Address(address).packed}, ACK)


def is_answered(tap: Tap, mac: str, witness: str) -> bool:
    """Whether `mac` gets an answer of any kind, decided by asking for `witness`, who gets one, right behind it."""
    assert ask_dhcp(tap, witness) is not None
    asked, seen = os.urandom(4), os.urandom(4)
    tap.send(_frame(mac, asked, {53: bytes((DISCOVER,))}))
    tap.send(_frame(mac, asked, {53: bytes((REQUEST,)), 50: ipaddress.IPv4Address("10.99.99.99").packed}))
    tap.send(_frame(witness, seen, {53: bytes((DISCOVER,))}))
    was_answered = False
    while (frame := tap.receive(PATIENCE_S)) is not None:
        if _parse(frame, seen) is not None:
            return was_answered
        was_answered = was_answered or _parse(frame, asked) is not None
    raise AssertionError("the witness got no answer")


def _exchange(tap: Tap, mac: str, kind: int, options: dict[int, bytes], awaited: int) -> Answer | None:
    """Ask until answered: a bridge forwards nothing in the first moments of a device's carrier."""
    number = os.urandom(4)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        tap.send(_frame(mac, number, {53: bytes((kind,)), **options}))
        again = time.monotonic() + 0.1
        while (left := again - time.monotonic()) > 0:
            frame = tap.receive(left)
            answer = _parse(frame, number) if frame is not None else None
            if answer is not None and answer.kind in (awaited, NAK):
                return answer
    return None


def _frame(mac: str, number: bytes, options: dict[int, bytes]) -> bytes:
    hardware = bytes.fromhex(mac.replace(":", ""))
    asked = bytes((1, 3, 6, 12, 15, 26, 66, 67, 121, 249))
    body = bytes((1, 1, 6, 0)) + number + b"\0\0\x80\0" + bytes(16) + hardware.ljust(16, b"\0") + bytes(192) + _COOKIE
    for code, value in {**options, 55: asked}.items():
        body += bytes((code, len(value))) + value
    body += b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(body), 0) + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return b"\xff" * 6 + hardware + b"\x08\x00" + head + udp


def _checksum(head: bytes) -> int:
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _parse(frame: bytes, number: bytes) -> Answer | None:
    """The DHCP answer in a frame, if it is one to us."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    udp = frame[14 + 4 * (frame[14] & 15) :]
    body = udp[8:]
    if udp[:2] != struct.pack("!H", 67) or body[4:8] != number or body[236:240] != _COOKIE:
        return None
    options, raw = {}, body[240:]
    while raw and raw[0] != 255:
        if raw[0] == 0:
            raw = raw[1:]
            continue
        options[raw[0]] = options.get(raw[0], b"") + raw[2 : 2 + raw[1]]
        raw = raw[2 + raw[1] :]
    return Answer(options[53][0], str(ipaddress.IPv4Address(body[16:20])), options)


# -- DHCPv6 -------------------------------------------------------------------------------------------------------
def ask_dhcpv6(tap: Tap, mac: str, duid: bytes) -> str | None:
    """Ask for an IPv6 address by RFC 8415's four messages; None when nobody gives one in time."""
    client = _option6(1, duid)
    wanted = _option6(3, mac.encode()[:4] + bytes(8))
    advertised = _exchange6(tap, mac, 1, client + wanted, 2)
    if advertised is None:
        return None
    reply = _exchange6(tap, mac, 3, client + _option6(2, advertised[2]) + wanted, 7)
    address = _options6(reply[3][12:]).get(5) if reply is not None and 3 in reply else None
    return str(ipaddress.IPv6Address(address[:16])) if address is not None else None


def _option6(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def _options6(raw: bytes) -> dict[int, bytes]:
    found = {}
    while len(raw) >= 4:
        code, length = struct.unpack("!HH", raw[:4])
        found[code], raw = raw[4 : 4 + length], raw[4 + length :]
    return found


def _exchange6(tap: Tap, mac: str, kind: int, options: bytes, awaited: int) -> dict[int, bytes] | None:
    """Send until answered; neighbour solicitations for our own link-local address are answered meanwhile."""
    number = os.urandom(3)
    hardware = bytes.fromhex(mac.replace(":", ""))
    source = _link_local(hardware)
    everybody = ipaddress.IPv6Address("ff02::1:2").packed
    frame = _udp6(hardware, source, everybody, 546, 547, bytes((kind,)) + number + options)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        tap.send(frame)
        again = time.monotonic() + 0.1
        while (left := again - time.monotonic()) > 0:
            received = tap.receive(left) or b""
            if received[12:14] != b"\x86\xdd":
                continue
            if received[20] == 58 and received[54:55] == b"\x87" and received[62:78] == source:
                tap.send(_advertisement(hardware, source, received))
            elif received[20] == 17 and received[62:66] == bytes((awaited,)) + number:
                return _options6(received[66:])
    return None


def _link_local(hardware: bytes) -> bytes:
    return b"\xfe\x80" + bytes(6) + bytes((hardware[0] ^ 2,)) + hardware[1:3] + b"\xff\xfe" + hardware[3:]


def _udp6(hardware: bytes, source: bytes, target: bytes, sport: int, dport: int, body: bytes) -> bytes:
    length = 8 + len(body)
    pseudo = source + target + struct.pack("!II", length, 17)
    udp = struct.pack("!HHHH", sport, dport, length, 0) + body
    checksum = _checksum((pseudo + udp).ljust(-(-len(pseudo + udp) // 2) * 2, b"\0")) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + udp[8:]
    head = struct.pack("!IHBB", 6 << 28, length, 17, 64) + source + target
    return b"\x33\x33" + target[-4:] + hardware + b"\x86\xdd" + head + udp


def _advertisement(hardware: bytes, own: bytes, asked: bytes) -> bytes:
    """The answer to a neighbour solicitation: this address is mine."""
    asker, body = asked[22:38], b"\x60\0\0\0" + own + b"\2\1" + hardware
    icmp = b"\x88\0\0\0" + body
    checksum = _checksum(own + asker + struct.pack("!II", len(icmp), 58) + icmp)
    icmp = icmp[:2] + struct.pack("!H", checksum) + icmp[4:]
    return asked[6:12] + hardware + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(icmp), 58, 255) + own + asker + icmp


class NamespaceGuest:
    """A guest with a whole TCP/IP: a namespace with one device on the bridge."""

    def __init__(self, name: str, bridge: str, mac: str, address: str = ""):
        self.name = name
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"v-{name}", "master", bridge, "up")
        run("ip", "-n", name, "link", "set", "eth0", "address", mac, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        if address:
            run("ip", "-n", name, "address", "add", address, "dev", "eth0")

    def configure(self, answer: Answer) -> None:
        """Take address and routes as DHCP gave them."""
        mask = ipaddress.IPv4Network(f"0.0.0.0/{answer.addresses(1)[0]}").prefixlen
        run("ip", "-n", self.name, "address", "add", f"{answer.address}/{mask}", "dev", "eth0")
        for destination, hop in answer.routes().items():
            run("ip", "-n", self.name, "route", "add", destination, "via", hop, "dev", "eth0")

    def listen(self, address: str, port: int) -> socket.socket:
        return in_namespace(self.name, socket.create_server, (address, port))

    def connect(self, address: str, port: int) -> socket.socket:
        return in_namespace(self.name, socket.create_connection, (address, port), PATIENCE_S)

    def look_up(self, name: str, server: str) -> tuple[int, list[str]]:
        """The code and the IPv4 addresses that a name server answers. Blocks."""
        return in_namespace(self.name, _look_up, name, server)

    def ask(self, request: bytes, address: str = "169.254.169.254", port: int = 80) -> bytes:
        """Send bytes over TCP and return everything that comes back. Blocks."""
        with self.connect(address, port) as connection:
            connection.sendall(request)
            whole = b""
            while part := connection.recv(65536):
                whole += part
            return whole


def _look_up(name: str, server: str) -> tuple[int, list[str]]:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.sendto(question, (server, 53))
        raw = client.recv(4096)
    count = struct.unpack("!H", raw[6:8])[0]
    records = [raw[len(question) + 16 * at :][:16] for at in range(count)]
    return raw[3] & 15, [str(ipaddress.IPv4Address(record[12:16])) for record in records]
