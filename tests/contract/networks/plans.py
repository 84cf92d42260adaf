"""Plans that the tests of all backends use."""

import msgspec

from pileus.network.domain.data_plane import FixedIp, HostRoute, NetworkPlan, PortPlan, SubnetPlan

SUBNET = SubnetPlan(
    id="5ab00000-0000-4000-8000-000000000001",
    cidr="10.20.30.0/24",
    gateway="10.20.30.1",
    dns_servers=("9.9.9.9", "1.1.1.1"),
    host_routes=(HostRoute(destination="192.168.7.0/24", nexthop="10.20.30.9"),),
    dhcp_address="10.20.30.2",
)
NETWORK = NetworkPlan(
    id="0e700000-0000-4000-8000-000000000001", mtu=1450, subnets=(SUBNET,), dhcp_mac="fa:16:3e:00:00:02"
)
OTHER_NETWORK = msgspec.structs.replace(NETWORK, id="0e7fffff-0000-4000-8000-000000000002")


def port(number: int, *, address: str = "", network: NetworkPlan = NETWORK, **changes: object) -> PortPlan:
    """The `number`th port of a network, with its own MAC and, unless told, its own address."""
    plan = PortPlan(
        id=f"{number:08x}-1111-4000-8000-000000000001",
        network_id=network.id,
        mac=f"fa:16:3e:00:01:{number:02x}",
        fixed_ips=(FixedIp(subnet_id=SUBNET.id, address=address or f"10.20.30.{100 + number}"),),
        hostname=f"web-{number}",
    )
    return msgspec.structs.replace(plan, **changes)
