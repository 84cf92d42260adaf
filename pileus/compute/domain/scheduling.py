"""Choosing a host: filter, then weigh; pure, over a snapshot.

Every pass records its funnel: how many hosts each filter left, and for capacity what was needed and what was free at
best. So "no valid host" always says why. The claim is not made here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from msgspec import Struct

from pileus.compute.domain.candidate import Candidate, Policy, Wanted
from pileus.compute.domain.errors import NoValidHost
from pileus.compute.domain.weighing import DEFAULT_WEIGHTS, Weights, best_first

Hosts = list[Candidate]


class FunnelStep(Struct, frozen=True, omit_defaults=True):
    """One filter of one pass; `need` and `best` stand for capacity only, in `unit`."""

    filter: str
    left: int
    removed: int = 0
    need: int | None = None
    best: int | None = None  # the most that a removed host had
    unit: str = ""


class Funnel(Struct, frozen=True):
    """All filters of one pass, in order."""

    total: int
    steps: tuple[FunnelStep, ...] = ()

    @property
    def left(self) -> int:
        return self.steps[-1].left if self.steps else self.total

    def reason(self) -> str:
        """Why hosts dropped out, for tenants: numbers, and no host's name."""
        if not self.total:
            return "There are no compute hosts."
        parts = [_blame(step) for step in self.steps if step.removed]
        return f"{self.total} host{'' if self.total == 1 else 's'}: {', '.join(parts) or 'none dropped out'}"


class Ranking(Struct, frozen=True):
    """The hosts to try, the best first, with their scores beside them, and how they were found."""

    hosts: tuple[Candidate, ...]
    scores: tuple[float, ...]
    funnel: Funnel


@dataclass(frozen=True, slots=True)
class Filter:
    """One reason to leave hosts out. `applies` spares the pass where nothing is asked for."""

    name: str
    keep: Callable[[Hosts, Wanted], Hosts]
    applies: Callable[[Wanted], bool]
    need: Callable[[Wanted], int] | None = None
    free: Callable[[Candidate], int] | None = None
    unit: str = ""


def rank_hosts(
    hosts: Sequence[Candidate],
    wanted: Wanted,
    *,
    seed: int = 0,
    weights: Weights = DEFAULT_WEIGHTS,
    most: int = 10,
    sample: int = 200,
) -> Ranking:
    """Return the hosts that fit, the best first and at most `most`; the first is the choice, the rest alternatives.

    Of more than `sample` fitting hosts a spread-out share is weighed, so that the cost stays flat and schedulers at
    work beside each other seldom want the same host. Equal scores, and the share, are ordered by `seed`.
    """
    left = list(hosts)
    steps: list[FunnelStep] = []
    for one in FORCED_FILTERS if wanted.is_forced else FILTERS:
        if one.applies(wanted):
            kept = one.keep(left, wanted)
            steps.append(_step(one, wanted, left, kept))
            left = kept
    ranked = best_first(left, wanted, weights, seed=seed, most=most, sample=sample)
    return Ranking(
        tuple(host for host, _ in ranked), tuple(score for _, score in ranked), Funnel(len(hosts), tuple(steps))
    )


def no_valid_host(funnel: Funnel) -> NoValidHost:
    """The error that says why no host fits; its facts hold the funnel."""
    steps = [_plain(step) for step in funnel.steps]
    return NoValidHost(reason=funnel.reason(), total=funnel.total, funnel=steps)


def explain(hosts: Sequence[Candidate], wanted: Wanted, most: int = 1000) -> list[tuple[str, str, str]]:
    """For administrators: host, node, and what removed it with need and free, or "fits"."""
    filters = [one for one in (FORCED_FILTERS if wanted.is_forced else FILTERS) if one.applies(wanted)]
    return [(host.host, host.node, _verdict(host, wanted, filters)) for host in hosts[:most]]


def _verdict(host: Candidate, wanted: Wanted, filters: Sequence[Filter]) -> str:
    for one in filters:
        if not one.keep([host], wanted):
            if one.need is None or one.free is None:
                return one.name
            return f"{one.name} (need {one.need(wanted)}{one.unit}, free {one.free(host)})"
    return "fits"


def _step(one: Filter, wanted: Wanted, before: Hosts, kept: Hosts) -> FunnelStep:
    removed = len(before) - len(kept)
    if one.need is None or one.free is None:
        return FunnelStep(one.name, len(kept), removed)
    need = one.need(wanted)
    best = max(filter(need.__gt__, map(one.free, before))) if removed else None
    return FunnelStep(one.name, len(kept), removed, need, best, one.unit)


def _blame(step: FunnelStep) -> str:
    if step.best is None:
        return f"{step.removed} {step.filter}"
    return f"{step.removed} {step.filter} (need {step.need}{step.unit}, best free {max(step.best, 0)})"


def _plain(step: FunnelStep) -> dict[str, Any]:
    facts: dict[str, Any] = {"filter": step.filter, "left": step.left, "removed": step.removed}
    if step.need is not None:
        facts |= {"need": step.need, "best": step.best}
    return facts


# -- the filters: each goes once over the hosts that the one before left ---------------------------------------------
def _always(_: Wanted) -> bool:
    return True


def _alive(hosts: Hosts, _: Wanted) -> Hosts:
    return [host for host in hosts if host.is_alive]


def _alive_and_enabled(hosts: Hosts, _: Wanted) -> Hosts:
    return [host for host in hosts if host.is_alive and host.is_enabled]


def _asked_host(hosts: Hosts, wanted: Wanted) -> Hosts:
    return [host for host in hosts if wanted.host in (None, host.host) and wanted.node in (None, host.node)]


def _in_zone(hosts: Hosts, wanted: Wanted) -> Hosts:
    zone = wanted.zone
    return [host for host in hosts if host.zone == zone]


def _ram(hosts: Hosts, wanted: Wanted) -> Hosts:
    need = wanted.ram_mib
    return [host for host in hosts if host.free_ram_mib >= need]


def _vcpus(hosts: Hosts, wanted: Wanted) -> Hosts:
    need = wanted.vcpus
    return [host for host in hosts if host.free_vcpus >= need]


def _disk(hosts: Hosts, wanted: Wanted) -> Hosts:
    need = wanted.disk_gib
    return [host for host in hosts if host.free_disk_gib >= need]


def _image(hosts: Hosts, wanted: Wanted) -> Hosts:
    """A host that does not say what it offers is taken to run everything."""
    if (arch := wanted.architecture) is not None:
        hosts = [host for host in hosts if arch in host.architectures or not host.architectures]
    if (hypervisor := wanted.hypervisor_type) is not None:
        hosts = [host for host in hosts if hypervisor in host.hypervisor_types or not host.hypervisor_types]
    if (mode := wanted.vm_mode) is not None:
        hosts = [host for host in hosts if mode in host.vm_modes or not host.vm_modes]
    return hosts


def _traits(hosts: Hosts, wanted: Wanted) -> Hosts:
    required, forbidden = wanted.required_traits, wanted.forbidden_traits
    return [host for host in hosts if required <= host.traits and forbidden.isdisjoint(host.traits)]


def _hints(hosts: Hosts, wanted: Wanted) -> Hosts:
    same, different = wanted.same_hosts, wanted.different_hosts
    return [host for host in hosts if (not same or host.host in same) and host.host not in different]


def _untried(hosts: Hosts, wanted: Wanted) -> Hosts:
    return [host for host in hosts if host.host not in wanted.tried_hosts]


def _affinity(hosts: Hosts, wanted: Wanted) -> Hosts:
    return [host for host in hosts if host.host in wanted.group_hosts]


def _anti_affinity(hosts: Hosts, wanted: Wanted) -> Hosts:
    members, most = wanted.group_hosts, wanted.max_per_host
    return [host for host in hosts if members.get(host.host, 0) < most]


_ASKED = Filter("asked host", _asked_host, lambda wanted: wanted.host is not None or wanted.node is not None)
_CAPACITY = (
    Filter("RAM", _ram, _always, lambda wanted: wanted.ram_mib, attrgetter("free_ram_mib"), " MiB"),
    Filter("vCPU", _vcpus, _always, lambda wanted: wanted.vcpus, attrgetter("free_vcpus")),
    Filter("disk", _disk, _always, lambda wanted: wanted.disk_gib, attrgetter("free_disk_gib"), " GiB"),
)
_UNTRIED = Filter("already tried", _untried, lambda wanted: bool(wanted.tried_hosts))

FORCED_FILTERS: tuple[Filter, ...] = (Filter("down", _alive, _always), _ASKED, *_CAPACITY, _UNTRIED)
FILTERS: tuple[Filter, ...] = (
    Filter("disabled or down", _alive_and_enabled, _always),
    _ASKED,
    Filter("availability zone", _in_zone, lambda wanted: wanted.zone is not None),
    *_CAPACITY,
    Filter(
        "image properties",
        _image,
        lambda wanted: any((wanted.architecture, wanted.hypervisor_type, wanted.vm_mode)),
    ),
    Filter("traits", _traits, lambda wanted: bool(wanted.required_traits or wanted.forbidden_traits)),
    Filter("hints", _hints, lambda wanted: bool(wanted.same_hosts or wanted.different_hosts)),
    Filter("affinity", _affinity, lambda wanted: wanted.policy is Policy.AFFINITY and bool(wanted.group_hosts)),
    Filter("anti-affinity", _anti_affinity, lambda wanted: wanted.policy is Policy.ANTI_AFFINITY),
    _UNTRIED,
)
