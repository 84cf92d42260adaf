"""Which of the hosts that fit is the best: a sum of weights, each spread over 0 to 1 among the hosts compared."""

import heapq
from collections.abc import Callable, Sequence

from msgspec import Struct

from pileus.compute.domain.candidate import Candidate, Policy, Wanted


class Weights(Struct, frozen=True):
    """How much each weigher counts; a negative weight turns it round (packing instead of spreading)."""

    ram: float = 1.0
    vcpu: float = 1.0
    disk: float = 1.0
    builds: float = 1.0  # few launches in flight are good
    group: float = 1.0  # soft affinity and soft anti-affinity


DEFAULT_WEIGHTS = Weights()


def best_first(
    hosts: Sequence[Candidate], wanted: Wanted, weights: Weights, *, seed: int, most: int, sample: int
) -> list[tuple[Candidate, float]]:
    """Return at most `most` hosts with their scores, the best first; equal scores are ordered by `seed`."""
    if not hosts:
        return []
    compared = _share(hosts, wanted, seed, sample)
    scores = _scores(compared, wanted, weights)
    order = heapq.nlargest(
        most, range(len(compared)), key=lambda at: (scores[at], _jitter(at, seed), compared[at].host)
    )
    return [(compared[at], round(scores[at], 6)) for at in order]


def _scores(hosts: Sequence[Candidate], wanted: Wanted, weights: Weights) -> list[float]:
    scores = [0.0] * len(hosts)
    members = wanted.group_hosts
    weighers: list[tuple[float, Callable[[Candidate], int]]] = [
        (weights.ram, lambda host: host.free_ram_mib),
        (weights.vcpu, lambda host: host.free_vcpus),
        (weights.disk, lambda host: host.free_disk_gib),
        (-weights.builds, lambda host: host.builds),
    ]
    if wanted.policy is Policy.SOFT_AFFINITY:
        weighers.append((weights.group, lambda host: members.get(host.host, 0)))
    elif wanted.policy is Policy.SOFT_ANTI_AFFINITY:
        weighers.append((-weights.group, lambda host: members.get(host.host, 0)))
    for weight, value_of in weighers:
        values = [value_of(host) for host in hosts]
        low, high = min(values), max(values)
        if high > low and weight:
            factor = weight / (high - low)
            scores = [score + (value - low) * factor for score, value in zip(scores, values, strict=True)]
    return scores


def _share(hosts: Sequence[Candidate], wanted: Wanted, seed: int, sample: int) -> Sequence[Candidate]:
    """At most about `sample` hosts, evenly spread from a start that `seed` picks; hosts of the group are always in."""
    count = len(hosts)
    if count <= sample:
        return hosts
    start = (seed * 2_654_435_761 + seed) % count
    picked = [(start + at * count // sample) % count for at in range(sample)]
    share = [hosts[at] for at in picked]
    if wanted.policy is Policy.SOFT_AFFINITY and wanted.group_hosts:
        known = {host.host for host in share}
        share += [host for host in hosts if host.host in wanted.group_hosts and host.host not in known]
    return share


def _jitter(at: int, seed: int) -> int:
    """A number that orders equals differently for each seed."""
    mixed = (at + 1) * 2_654_435_761 ^ (seed * 40_503 + 0x9E3779B9)
    mixed = (mixed ^ (mixed >> 15)) * 2_246_822_519 & 0xFFFFFFFF
    return mixed ^ (mixed >> 13)
