"""What should be, what is, what to do: a table."""

import pytest

from pileus.network.domain.data_plane import HostPlan, NetworkPlan, PortPlan
from pileus.network.drivers.base import HostFacts, NetworkFact, PortFact
from pileus.network.host.repairs import Repairs, findings, plan_repairs

NET = NetworkPlan(id="n1")
PORT = PortPlan(id="p1", network_id="n1", mac="fa:16:3e:00:00:01")
WANTED = HostPlan(networks=(NET,), ports=(PORT,))


def network_fact(plan: NetworkPlan | None = NET, *problems: str) -> NetworkFact:
    return NetworkFact(id="n1", plan=plan, problems=problems)


def port_fact(plan: PortPlan | None = PORT, *problems: str) -> PortFact:
    return PortFact(id="p1", network_id="n1", tap="tap1", plan=plan, problems=problems)


OTHER_NET = NetworkPlan(id="n1", mtu=1400)
OTHER_PORT = PortPlan(id="p1", network_id="n1", mac="fa:16:3e:00:00:01", epoch=2)

TABLE = {
    "all is so": (WANTED, HostFacts(networks=(network_fact(),), ports=(port_fact(),)), Repairs(), []),
    "nothing is there": (
        WANTED,
        HostFacts(),
        Repairs(networks=(NET,), ports=(PORT,)),
        ["network n1 is missing on the host", "port p1 is missing on the host"],
    ),
    "nothing is wanted": (
        HostPlan(),
        HostFacts(networks=(network_fact(),), ports=(port_fact(),)),
        Repairs(remove_ports={"p1": None}, remove_networks=("n1",)),
        ["network n1 is on the host and belongs to nobody", "port p1 is on the host and belongs to nobody"],
    ),
    "something is broken": (
        WANTED,
        HostFacts(networks=(network_fact(NET, "no bridge"),), ports=(port_fact(PORT, "no tap", "late"),)),
        Repairs(networks=(NET,), ports=(PORT,)),
        ["network n1: no bridge", "port p1: no tap", "port p1: late"],
    ),
    "plans have changed": (
        WANTED,
        HostFacts(networks=(network_fact(OTHER_NET),), ports=(port_fact(OTHER_PORT),)),
        Repairs(networks=(NET,), ports=(PORT,)),
        ["network n1 is not as planned", "port p1 is not as planned"],
    ),
    "records are lost": (
        WANTED,
        HostFacts(networks=(network_fact(None, "no record"),), ports=(port_fact(None, "no record"),)),
        Repairs(networks=(NET,), ports=(PORT,)),
        ["network n1: no record", "port p1: no record"],
    ),
}


@pytest.mark.parametrize(("wanted", "facts", "repairs", "words"), TABLE.values(), ids=TABLE.keys())
def test_the_difference_is_what_is_done_and_what_audit_says(
    wanted: HostPlan, facts: HostFacts, repairs: Repairs, words: list[str]
) -> None:
    assert plan_repairs(wanted, facts) == repairs
    assert list(findings(wanted, facts)) == words
