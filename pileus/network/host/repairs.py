"""What to do on a host, from what should be and what is: a pure decision, carried out by the agent.

What is must have been observed before what should be was asked for. Then whatever is there and not wanted has really
been given up, and is not just too new to be in an older answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pileus.network.domain.data_plane import HostPlan, NetworkPlan, PortPlan
from pileus.network.drivers.base import HostFacts


@dataclass(frozen=True)
class Repairs:
    """In this order: leftovers go first, for a name or an address of theirs may be wanted again."""

    remove_ports: Mapping[str, int | None] = field(default_factory=dict)  # port id -> epoch of the binding, None: any
    remove_networks: tuple[str, ...] = ()
    networks: tuple[NetworkPlan, ...] = ()
    ports: tuple[PortPlan, ...] = ()


def plan_repairs(wanted: HostPlan, facts: HostFacts) -> Repairs:
    """The difference, and nothing of what is already so."""
    networks = {plan.id: plan for plan in wanted.networks}
    ports = {plan.id: plan for plan in wanted.ports}
    whole_networks = {fact.id for fact in facts.networks if not fact.problems and fact.plan == networks.get(fact.id)}
    whole_ports = {fact.id for fact in facts.ports if not fact.problems and fact.plan == ports.get(fact.id)}
    return Repairs(
        remove_ports={fact.id: None for fact in facts.ports if fact.id not in ports},
        remove_networks=tuple(fact.id for fact in facts.networks if fact.id not in networks),
        networks=tuple(plan for plan in wanted.networks if plan.id not in whole_networks),
        ports=tuple(plan for plan in wanted.ports if plan.id not in whole_ports),
    )


def findings(wanted: HostPlan, facts: HostFacts) -> Iterator[str]:
    """The same difference in words, for audit."""
    wires = {f"network {fact.id}": fact for fact in facts.networks} | {f"port {fact.id}": fact for fact in facts.ports}
    plans = {f"network {plan.id}": plan for plan in wanted.networks} | {
        f"port {plan.id}": plan for plan in wanted.ports
    }
    for name, fact in wires.items():
        if name not in plans:
            yield f"{name} is on the host and belongs to nobody"
            continue
        yield from (f"{name}: {problem}" for problem in fact.problems)
        if fact.plan is not None and fact.plan != plans[name]:
            yield f"{name} is not as planned"
    yield from (f"{name} is missing on the host" for name in plans if name not in wires)
