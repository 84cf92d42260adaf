"""Which hosts fit, which is the best, and what is said when none does."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pileus.compute.domain.candidate import Candidate, Inventory, Policy, Wanted, image_needs, wanted_of
from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.scheduling import explain, no_valid_host, rank_hosts
from pileus.compute.domain.weighing import Weights
from pileus.foundation import errors


def host(name: str, **facts: Any) -> Candidate:
    sizes = {"free_ram_mib": 8192, "free_vcpus": 8, "free_disk_gib": 100}
    return Candidate(**{"host": name, "node": name, "provider_id": f"rp-{name}", "zone": "nova", **sizes, **facts})


def want(**facts: Any) -> Wanted:
    return Wanted(**{"ram_mib": 512, "vcpus": 1, "disk_gib": 1, **facts})


def names(hosts: Sequence[Candidate], wanted: Wanted, **options: Any) -> list[str]:
    return [candidate.host for candidate in rank_hosts(hosts, wanted, **options).hosts]


# -- filters ---------------------------------------------------
@pytest.mark.parametrize(
    ("filter_name", "bad", "wanted"),
    [
        ("disabled or down", {"is_enabled": False}, {}),
        ("disabled or down", {"is_alive": False}, {}),
        ("availability zone", {"zone": "other"}, {"zone": "nova"}),
        ("RAM", {"free_ram_mib": 511}, {"ram_mib": 512}),
        ("vCPU", {"free_vcpus": 1}, {"vcpus": 2}),
        ("disk", {"free_disk_gib": 9}, {"disk_gib": 10}),
        ("image properties", {"architectures": frozenset({"x86_64"})}, {"architecture": "aarch64"}),
        ("image properties", {"hypervisor_types": frozenset({"kvm", "qemu"})}, {"hypervisor_type": "xen"}),
        ("image properties", {"vm_modes": frozenset({"hvm"})}, {"vm_mode": "exe"}),
        ("traits", {"traits": frozenset()}, {"required_traits": frozenset({"HW_CPU_X86_AVX"})}),
        ("traits", {"traits": frozenset({"A", "X"})}, {"forbidden_traits": frozenset({"X"})}),
        ("affinity", {"host": "bad"}, {"policy": Policy.AFFINITY, "group_hosts": {"good": 1}}),
        ("anti-affinity", {"host": "bad"}, {"policy": Policy.ANTI_AFFINITY, "group_hosts": {"bad": 1}}),
        ("hints", {"host": "bad"}, {"same_hosts": frozenset({"good"})}),
        ("hints", {"host": "bad"}, {"different_hosts": frozenset({"bad"})}),
        ("asked host", {"host": "bad"}, {"host": "good"}),
        ("asked host", {"node": "bad"}, {"node": "good"}),
        ("already tried", {"host": "bad"}, {"tried_hosts": frozenset({"bad"})}),
    ],
)
def test_a_host_that_does_not_fit_is_left_out_by_its_filter(
    filter_name: str, bad: dict[str, Any], wanted: dict[str, Any]
) -> None:
    good = host(
        "good", architectures=frozenset({"aarch64"}), hypervisor_types=frozenset({"xen"}),
        vm_modes=frozenset({"exe"}), traits=frozenset({"HW_CPU_X86_AVX"}),
    )  # fmt: skip
    refused = host("bad", traits=frozenset({"HW_CPU_X86_AVX"}))
    refused = Candidate(**{**{field: getattr(refused, field) for field in Candidate.__struct_fields__}, **bad})
    ranking = rank_hosts([refused, good], want(**wanted))
    assert [candidate.host for candidate in ranking.hosts] == ["good"]
    assert {step.filter: step.removed for step in ranking.funnel.steps if step.removed} == {filter_name: 1}


def test_a_host_that_does_not_say_what_it_runs_admits_every_image() -> None:
    assert names([host("a")], want(architecture="aarch64", hypervisor_type="kvm", vm_mode="hvm")) == ["a"]


def test_the_first_member_of_an_affinity_group_may_go_anywhere() -> None:
    assert names([host("a")], want(policy=Policy.AFFINITY)) == ["a"]


def test_a_host_takes_as_many_members_as_the_rule_of_its_group_allows() -> None:
    wanted = want(policy=Policy.ANTI_AFFINITY, group_hosts={"a": 1, "b": 2}, max_per_host=2)
    assert names([host("a"), host("b")], wanted) == ["a"]


def test_a_forced_host_is_taken_although_disabled_in_another_zone_and_of_another_architecture() -> None:
    odd = host("a", is_enabled=False, zone="other", architectures=frozenset({"ppc64"}))
    wanted = want(host="a", zone="nova", architecture="x86_64", is_forced=True)
    assert names([host("b"), odd], wanted) == ["a"]


def test_a_forced_host_must_live_and_hold_the_server() -> None:
    assert names([host("a", is_alive=False)], want(host="a", is_forced=True)) == []
    assert names([host("a", free_ram_mib=1)], want(host="a", is_forced=True)) == []


# -- the funnel ---------------------------------------------------
def test_the_funnel_tells_what_each_filter_left_and_how_much_was_missing() -> None:
    hosts = [host(f"ram{n}", free_ram_mib=1024 * (n + 1)) for n in range(6)]
    hosts += [host(f"zone{n}", zone="az2") for n in range(3)] + [host("down", is_alive=False)]
    ranking = rank_hosts(hosts, want(ram_mib=8192, zone="nova"))
    left = [(step.filter, step.left) for step in ranking.funnel.steps]
    assert left == [("disabled or down", 9), ("availability zone", 6), ("RAM", 0), ("vCPU", 0), ("disk", 0)]
    assert ranking.hosts == ()
    assert (
        no_valid_host(ranking.funnel).text
        == "No valid host was found. 10 hosts: 1 disabled or down, 3 availability zone, 6 RAM (need 8192 MiB, best "
        "free 6144)"
    )


def test_an_error_for_tenants_names_no_host() -> None:
    hosts = [host(f"secret-{n}", free_vcpus=n) for n in range(4)]
    error = no_valid_host(rank_hosts(hosts, want(vcpus=9)).funnel)
    assert "secret" not in str(errors.to_wire(error))
    assert error.text == "No valid host was found. 4 hosts: 4 vCPU (need 9, best free 3)"
    assert error.facts["funnel"][-2] == {"filter": "vCPU", "left": 0, "removed": 4, "need": 9, "best": 3}


def test_a_cloud_without_hosts_says_so() -> None:
    assert no_valid_host(rank_hosts([], want()).funnel).text == "No valid host was found. There are no compute hosts."


def test_an_overcommitted_host_has_nothing_free_rather_than_less() -> None:
    ranking = rank_hosts([host("a", free_ram_mib=-500)], want())
    assert ranking.funnel.reason() == "1 host: 1 RAM (need 512 MiB, best free 0)"


def test_administrators_see_of_every_host_what_removed_it() -> None:
    hosts = [host("a", free_ram_mib=100), host("b"), host("c", zone="az2")]
    assert explain(hosts, want(zone="nova")) == [
        ("a", "a", "RAM (need 512 MiB, free 100)"),
        ("b", "b", "fits"),
        ("c", "c", "availability zone"),
    ]
    assert len(explain(hosts, want(), most=2)) == 2


# -- weighing ---------------------------------------------------
def test_the_emptiest_host_comes_first_and_the_rest_are_alternatives() -> None:
    hosts = [host(f"h{n}", free_ram_mib=4096 + n, free_vcpus=4 + n, free_disk_gib=10 + n) for n in range(5)]
    assert names(hosts, want(), most=3) == ["h4", "h3", "h2"]


def test_negative_weights_pack_instead() -> None:
    hosts = [host("full", free_ram_mib=1024), host("empty")]
    assert names(hosts, want(), weights=Weights(ram=-1.0)) == ["full", "empty"]


def test_a_host_with_launches_in_flight_waits_its_turn() -> None:
    assert names([host("busy", builds=3), host("idle")], want()) == ["idle", "busy"]


def test_soft_policies_prefer_and_never_refuse() -> None:
    hosts = [host("with", free_ram_mib=8100), host("without")]
    members = {"with": 2}
    heavy = Weights(group=10.0)
    assert names(hosts, want(policy=Policy.SOFT_AFFINITY, group_hosts=members), weights=heavy)[0] == "with"
    assert names(hosts, want(policy=Policy.SOFT_ANTI_AFFINITY, group_hosts=members), weights=heavy)[0] == "without"
    only = [host("with")]
    assert names(only, want(policy=Policy.SOFT_ANTI_AFFINITY, group_hosts=members)) == ["with"]


def test_soft_affinity_finds_its_members_among_more_hosts_than_are_compared() -> None:
    hosts = [host(f"h{n:04}") for n in range(1000)]
    wanted = want(policy=Policy.SOFT_AFFINITY, group_hosts={"h0777": 1})
    assert all(names(hosts, wanted, seed=seed, sample=10)[0] == "h0777" for seed in range(20))


def test_the_same_seed_gives_the_same_order_and_others_spread_over_the_hosts() -> None:
    hosts = [host(f"h{n}") for n in range(10)]
    assert names(hosts, want(), seed=3) == names(hosts, want(), seed=3)
    assert len({names(hosts, want(), seed=seed)[0] for seed in range(100)}) == 10
    many = [host(f"h{n}") for n in range(1000)]
    assert len({names(many, want(), seed=seed, sample=50)[0] for seed in range(100)}) > 50


candidates = st.builds(
    host,
    st.text("abc", min_size=1, max_size=3),
    free_ram_mib=st.integers(-100, 4096),
    free_vcpus=st.integers(-2, 8),
    free_disk_gib=st.integers(-5, 50),
    is_enabled=st.booleans(),
    is_alive=st.booleans(),
    zone=st.sampled_from(["z1", "z2"]),
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(candidates, max_size=30), st.integers(0, 4096), st.integers(1, 8), st.integers(0, 2**32), st.integers(1, 9)
)
def test_every_ranked_host_fits_and_the_funnel_adds_up(
    hosts: list[Candidate], ram: int, vcpus: int, seed: int, sample: int
) -> None:
    wanted = want(ram_mib=ram, vcpus=vcpus, zone="z1")
    ranking = rank_hosts(hosts, wanted, seed=seed, sample=sample, most=5)
    for candidate in ranking.hosts:
        assert candidate.is_alive and candidate.is_enabled and candidate.zone == "z1"
        assert candidate.free_ram_mib >= ram and candidate.free_vcpus >= vcpus and candidate.free_disk_gib >= 1
    assert len(hosts) - sum(step.removed for step in ranking.funnel.steps) == ranking.funnel.left
    assert len(ranking.hosts) == min(5, sample, ranking.funnel.left)
    assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
    fitting = [verdict for _, _, verdict in explain(hosts, wanted) if verdict == "fits"]
    assert len(fitting) == ranking.funnel.left


# -- what is wanted and what is free ---------------------------------------------------
def test_free_is_capacity_under_the_ratio_less_what_is_used_and_never_more_than_one_unit() -> None:
    assert Inventory(total=8, used=10, ratio=4.0).free == 8
    assert Inventory(total=8, used=30, ratio=4.0).free == 2
    assert Inventory(total=8192, used=1024, reserved=512).free == 6656
    assert Inventory(total=8, ratio=16.0, max_unit=4).free == 4
    assert Inventory(total=8, used=9).free == -1


def test_a_root_on_a_volume_wants_no_local_disk() -> None:
    flavor = Flavor(id="1", name="f", vcpus=2, ram_mib=512, disk_gib=20, ephemeral_gib=5, swap_mib=1025)
    assert wanted_of(flavor, {}, is_volume_backed=False).disk_gib == 27
    assert wanted_of(flavor, {}, is_volume_backed=True).disk_gib == 7


def test_image_properties_and_extra_specs_say_what_the_host_must_be() -> None:
    flavor = Flavor(id="1", name="f", vcpus=1, ram_mib=1, disk_gib=1, extra_specs={"trait:CUSTOM_A": "required"})
    properties = {"hw_architecture": "AMD64", "img_hv_type": "kvm", "trait:CUSTOM_B": "forbidden", "os_distro": "x"}
    wanted = wanted_of(flavor, properties, is_volume_backed=False)
    assert (wanted.architecture, wanted.hypervisor_type, wanted.vm_mode) == ("x86_64", "kvm", None)
    assert (wanted.required_traits, wanted.forbidden_traits) == ({"CUSTOM_A"}, {"CUSTOM_B"})
    assert image_needs({"architecture": "arm64", "vm_mode": "hvm"}) == {"architecture": "aarch64", "vm_mode": "hvm"}
