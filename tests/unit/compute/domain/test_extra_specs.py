"""Extra specs of known kinds say what can be said; others are the operator's own."""

import pytest

from pileus.compute.domain.extra_specs import ExtraSpecInvalid, check_known


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw:cpu_policy", "dedicated"),
        ("hw:mem_page_size", "1GB"),
        ("hw:numa_nodes", "2"),
        ("hw:numa_cpus.0", "0-3,^2"),
        ("hw_rng:allowed", "True"),
        ("quota:cpu_shares", "1024"),
        ("quota:vif_inbound_average", "10"),
        ("resources:CUSTOM_GPU", "1"),
        ("resources1:VCPU", "2"),
        ("trait:HW_CPU_X86_AVX2", "required"),
        ("os:secure_boot", "optional"),
        ("my_own_key", "anything at all"),
        ("vendor:thing", "x"),
    ],
)
def test_what_is_known_and_right_passes(name: str, value: str) -> None:
    check_known({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw:cpu_policy", "sharrred"),
        ("hw:cpu_polciy", "shared"),
        ("hw:numa_nodes", "0"),
        ("resources:VCPU", "many"),
        ("trait:HW_CPU_X86_AVX2", "wanted"),
        ("os:wrong", "1"),
    ],
)
def test_what_is_known_and_wrong_is_refused(name: str, value: str) -> None:
    with pytest.raises(ExtraSpecInvalid, match=name):
        check_known({name: value})
