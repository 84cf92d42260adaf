"""What a host must do for its ports: the values that travel from the network service to the hosts.

Pure facts without rows, rights or revisions. A host needs nothing else to wire a port, so a plan can be sent over the
bus, kept beside the device it describes, and compared with what is there. A network on several hosts is one segment:
`segment` is the number that the tunnels between them carry.
"""

import msgspec


class FixedIp(msgspec.Struct, frozen=True, kw_only=True):
    """One address of a port."""

    subnet_id: str
    address: str


class HostRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A route that guests learn by DHCP."""

    destination: str  # CIDR
    nexthop: str


class SubnetPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of one network, and what DHCP tells about them."""

    id: str
    cidr: str
    gateway: str = ""  # "" means none
    dns_servers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    dhcp_address: str = ""  # of this host's DHCP port in the subnet; "" means that DHCP is off
    address_mode: str = ""  # IPv6 only: "slaac", "dhcpv6-stateful", "dhcpv6-stateless"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another host that carries the same network: where its end of the tunnel is, and who lives there."""

    address: str
    macs: tuple[str, ...] = ()


class NetworkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A network as one host needs it."""

    id: str
    mtu: int = 1500
    segment: int = 0  # number on the wire between hosts; 0 means that the network lives on this host alone
    peers: tuple[Peer, ...] = ()  # in the order of their addresses; none means that no tunnel is needed
    subnets: tuple[SubnetPlan, ...] = ()
    dhcp_mac: str = ""  # of the DHCP port
    dns_domain: str = ""  # "" means the backend's default


class DhcpOption(msgspec.Struct, frozen=True, kw_only=True):
    """An option that a user asked DHCP to tell one port: hostile until checked."""

    name: str
    value: str
    ip_version: int = 4


class PortPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A port that is bound to this host.

    `epoch` counts the bindings of the port: a plan with an older one is refused.
    """

    id: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...] = ()
    hostname: str = ""  # "" means that DHCP gives no name
    dhcp_options: tuple[DhcpOption, ...] = ()
    is_up: bool = True  # the API's admin_state_up
    epoch: int = 0


class HostPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one host must have; networks before the ports on them."""

    networks: tuple[NetworkPlan, ...] = ()
    ports: tuple[PortPlan, ...] = ()


# -- what came of it ----------------------------------------------------------------------------------------------
class PluggedPort(msgspec.Struct, frozen=True, kw_only=True):
    """How a guest reaches its port."""

    port_id: str
    network_id: str
    tap: str  # at most 15 characters; the device exists and belongs to the network
    bridge: str
    mtu: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A network or port that could not be made as planned; the others were."""

    id: str
    code: str
    text: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a plan: every part was tried, whatever happened to the others."""

    plugged: tuple[PluggedPort, ...] = ()
    removed: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
