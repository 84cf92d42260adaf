"""A floating IP: an address of an external network that stands for a port's address."""

from collections.abc import Sequence

import msgspec

from pileus.network.domain.errors import BadRequest
from pileus.network.domain.port import FixedIp, Port

ACTIVE, DOWN = "ACTIVE", "DOWN"


class FloatingIp(msgspec.Struct, frozen=True, kw_only=True):
    """A floating IP as rows hold it; answers add facts of the port it points to."""

    id: str
    tenant_id: str
    project_id: str
    floating_ip_address: str
    floating_network_id: str
    router_id: str | None = None
    port_id: str | None = None
    fixed_ip_address: str | None = None
    status: str = DOWN
    description: str = ""
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0


def associated(
    floating: FloatingIp, *, port_id: str | None, fixed_address: str | None, router_id: str | None
) -> FloatingIp:
    """The floating IP as it points to an address, or to nothing; it is ACTIVE while it points."""
    return msgspec.structs.replace(
        floating,
        port_id=port_id,
        fixed_ip_address=fixed_address,
        router_id=router_id,
        status=ACTIVE if port_id else DOWN,
    )


def choose_fixed(port: Port, asked: str | None) -> FixedIp:
    """The port's IPv4 address that a floating IP shall stand for. Raises: BadRequest (400)."""
    ipv4 = [fixed for fixed in port.fixed_ips if ":" not in fixed.ip_address]
    if asked is not None:
        if ":" in asked:
            raise _refused(f"Cannot process floating IP association with {asked}, since that is not an IPv4 address")
        for fixed in ipv4:
            if fixed.ip_address == asked:
                return fixed
        raise _refused(f"Port {port.id} does not have fixed ip {asked}")
    return _only(ipv4, port.id)


def _only(ipv4: Sequence[FixedIp], port_id: str) -> FixedIp:
    if not ipv4:
        raise _refused(f"Cannot add floating IP to port {port_id} that has no fixed IPv4 addresses")
    if len(ipv4) > 1:
        raise _refused(
            f"Port {port_id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a "
            "floating IP"
        )
    return ipv4[0]


def _refused(reason: str) -> BadRequest:
    return BadRequest(resource="floatingip", reason=reason)
