"""A port: where something is plugged into a network, and which host it is bound to."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pileus.network.domain.address import is_multicast, parse, parse_loose_cidr
from pileus.network.domain.dhcp_text import is_dhcp_option
from pileus.network.domain.errors import (
    AddressPairAndPortSecurityRequired,
    AllowedAddressPairExhausted,
    DuplicateAddressPairInRequest,
    InvalidInput,
    PortSecurityAndIPRequiredForSecurityGroups,
    PortSecurityPortHasSecurityGroup,
    StaleBinding,
)
from pileus.network.domain.mac import canonical

ACTIVE, DOWN = "ACTIVE", "DOWN"
HIDDEN = "binding:host_id"  # the first of the fields that policy may hide
EPOCH = "pileus_epoch"  # in binding:profile: which attempt of the device's owner asks

DHCP = "network:dhcp"
ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
OF_ROUTERS = (ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP)
UNDELETABLE = OF_ROUTERS  # only what made them takes them away

MOST_ADDRESSES = 64
MOST_PAIRS = 10

VIF_UNBOUND, VIF_BRIDGE = "unbound", "bridge"


class FixedIp(msgspec.Struct, frozen=True):
    subnet_id: str
    ip_address: str


class AddressPair(msgspec.Struct, frozen=True):
    """An address that a port may use besides its own."""

    ip_address: str
    mac_address: str


class DhcpOpt(msgspec.Struct, frozen=True):
    opt_name: str
    opt_value: str
    ip_version: int = 4


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port as rows and answers hold it."""

    id: str
    name: str = ""
    network_id: str
    project_id: str
    mac_address: str
    admin_state_up: bool = True
    status: str = DOWN
    device_id: str = ""
    device_owner: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOpt, ...] = ()
    security_groups: tuple[str, ...] = ()
    description: str = ""
    vnic_type: str = msgspec.field(name="binding:vnic_type", default="normal")
    port_security_enabled: bool = True
    tags: tuple[str, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 1
    tenant_id: str
    host: str = msgspec.field(name=HIDDEN, default="")
    profile: dict[str, Any] = msgspec.field(name="binding:profile", default_factory=dict)
    vif_type: str = msgspec.field(name="binding:vif_type", default=VIF_UNBOUND)
    vif_details: dict[str, Any] = msgspec.field(name="binding:vif_details", default_factory=dict)

    @property
    def is_of_network(self) -> bool:
        """Whether the network service itself holds it: no filter, no security groups."""
        return self.device_owner.startswith("network:")


class Fence(msgspec.Struct, frozen=True):
    """What guards a port's binding: the last device with its newest epoch, and how often the port was bound."""

    device_id: str = ""
    epoch: int = 0
    number: int = 0


# -- binding ------------------------------------------------------------------------------------------------------
def tap_name(port_id: str) -> str:
    """The device a guest is plugged into, as the host names it."""
    return "tap" + port_id[:11]


def bridge_name(network_id: str) -> str:
    return "br-" + network_id[:11]


def epoch_of(profile: Mapping[str, Any]) -> int | None:
    """The attempt that a binding profile names. Raises: InvalidInput (400)."""
    epoch = profile.get(EPOCH)
    if epoch is None:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch < 1 << 62:
        raise InvalidInput(reason=f"'{EPOCH}' must be a whole number")
    return epoch


def bind(
    port: Port, fence: Fence, *, host: str | None, profile: dict[str, Any] | None, device_id: str | None
) -> tuple[Port, Fence]:
    """The port bound to `host` ("" means to none) for a device ("" likewise); None leaves each as it was.

    The same request repeated changes nothing. A request whose profile names an epoch is refused when the same device
    has spoken with a later one, or with this one from another host, or when another device holds the port.
    Raises: StaleBinding (409).
    """
    epoch = epoch_of(profile) if profile is not None else None
    new_host = port.host if host is None else host
    new_device = port.device_id if device_id is None else device_id
    asker = new_device or port.device_id  # who lets go of a port still speaks for its device
    if epoch is not None:
        _refuse_stale(port, fence, epoch, host=new_host, asker=asker)
    moved = new_host != port.host or (epoch is not None and (asker, epoch) != (fence.device_id, fence.epoch))
    bound = msgspec.structs.replace(
        port,
        host=new_host,
        profile=port.profile if profile is None else profile,
        device_id=new_device,
        vif_type=VIF_BRIDGE if new_host else VIF_UNBOUND,
        vif_details=_details(port) if new_host else {},
        status=DOWN if moved else port.status,
    )
    if epoch is not None:
        fence = Fence(asker, epoch, fence.number)
    return bound, Fence(fence.device_id, fence.epoch, fence.number + 1) if moved else fence


def _refuse_stale(port: Port, fence: Fence, epoch: int, *, host: str, asker: str) -> None:
    if fence.device_id == asker:
        if epoch < fence.epoch or (epoch == fence.epoch and host and port.host and host != port.host):
            raise StaleBinding(port_id=port.id, newest=fence.epoch, epoch=epoch)
    elif port.device_id and port.device_id != asker and port.host:
        raise StaleBinding(port_id=port.id, newest=fence.epoch, epoch=epoch)


def _details(port: Port) -> dict[str, Any]:
    """How a guest is plugged; `port_filter` tells that no security group is enforced on the wire yet."""
    return {
        "connectivity": "l2",
        "port_filter": False,
        "bridge_name": bridge_name(port.network_id),
        "tap_name": tap_name(port.id),
    }


# -- what a caller may say of a port ------------------------------------------------------------------------------
def check_pairs(pairs: Sequence[Mapping[str, Any]], mac: str) -> tuple[AddressPair, ...]:
    """Allowed address pairs in canonical form; a pair without a MAC has the port's. Raises: InvalidInput ... (400)."""
    if len(pairs) > MOST_PAIRS:
        raise AllowedAddressPairExhausted(limit=MOST_PAIRS)
    found: list[AddressPair] = []
    for pair in pairs:
        text = pair["ip_address"]
        try:
            block = parse_loose_cidr(text)
            own = canonical(pair["mac_address"]) if pair.get("mac_address") else mac
        except ValueError as error:
            raise InvalidInput(reason=str(error)) from None
        first = parse(text.split("/")[0])
        if is_multicast(first):
            raise InvalidInput(reason=f"{text} is a multicast address")
        address = str(block) if "/" in text else str(first)
        made = AddressPair(address, own)
        if made in found:
            raise DuplicateAddressPairInRequest(mac=own, address=address)
        found.append(made)
    return tuple(found)


def merge_dhcp_opts(have: Sequence[DhcpOpt], asked: Sequence[Mapping[str, Any]]) -> tuple[DhcpOpt, ...]:
    """The options after a request: each named one is set, or removed by a null value.

    Raises: InvalidInput (400), also for any text that could be an instruction to the DHCP server.
    """
    options = {(option.opt_name, option.ip_version): option for option in have}
    for item in asked:
        name, value, version = item["opt_name"], item.get("opt_value"), int(item.get("ip_version") or 4)
        if value is None:
            options.pop((name, version), None)
            continue
        if not is_dhcp_option(name, value):
            raise InvalidInput(reason=f"the DHCP option {name!r} has a name or value that DHCP cannot carry")
        options[name, version] = DhcpOpt(name, value, version)
    return tuple(options.values())


def check_security(port: Port) -> None:
    """Refuse a port whose filter settings contradict each other.

    Raises: PortSecurityAndIPRequiredForSecurityGroups (400), AddressPairAndPortSecurityRequired (409).
    """
    if port.port_security_enabled:
        return
    if port.security_groups:
        raise PortSecurityAndIPRequiredForSecurityGroups()
    if port.allowed_address_pairs:
        raise AddressPairAndPortSecurityRequired()


def check_security_change(old: Port, new: Port, *, groups_given: bool) -> None:
    """As `check_security`, for a change: switching off while groups stay has an error of its own (409)."""
    if not new.port_security_enabled and new.security_groups and old.port_security_enabled and not groups_given:
        raise PortSecurityPortHasSecurityGroup()
    check_security(new)
