"""What the scheduler knows of a host, and what a server wants of one.

A candidate is a snapshot: totals and uses as placement had them, and what the host said of itself. How old it may be is
for the caller to decide; the claim in placement is what counts.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from pileus.compute.domain.flavor import Flavor


class Policy(StrEnum):
    """How the members of a server group stand to each other."""

    AFFINITY = "affinity"
    ANTI_AFFINITY = "anti-affinity"
    SOFT_AFFINITY = "soft-affinity"
    SOFT_ANTI_AFFINITY = "soft-anti-affinity"


class Inventory(Struct, frozen=True):
    """One resource of a host as placement counts it: capacity is (total - reserved) * ratio."""

    total: int
    used: int = 0
    reserved: int = 0
    ratio: float = 1.0
    max_unit: int | None = None  # the most that one server may take; None: the total

    @property
    def free(self) -> int:
        """The most that one more server could get."""
        most = self.total if self.max_unit is None else self.max_unit
        return min(int((self.total - self.reserved) * self.ratio) - self.used, most)


class Candidate(Struct, frozen=True, kw_only=True):
    """One hypervisor host. Free amounts are what `Inventory.free` says, computed once for each snapshot."""

    host: str
    node: str
    provider_id: str
    zone: str
    free_ram_mib: int
    free_vcpus: int
    free_disk_gib: int
    is_enabled: bool = True
    is_alive: bool = True
    architectures: frozenset[str] = frozenset()  # empty: not known, admits every image
    hypervisor_types: frozenset[str] = frozenset()
    vm_modes: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    builds: int = 0  # launches in flight there
    generation: int = 0  # of the resource provider


NO_HOSTS: Mapping[str, int] = {}


class Wanted(Struct, frozen=True, kw_only=True):
    """What one server wants of its host. None, and the empty set, want nothing in particular."""

    ram_mib: int
    vcpus: int
    disk_gib: int
    zone: str | None = None
    host: str | None = None
    node: str | None = None
    is_forced: bool = False  # past every filter but life and capacity
    architecture: str | None = None
    hypervisor_type: str | None = None
    vm_mode: str | None = None
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    policy: Policy | None = None
    max_per_host: int = 1  # of an anti-affinity group
    group_hosts: Mapping[str, int] = NO_HOSTS  # host -> members of the group there, this server not counted
    same_hosts: frozenset[str] = frozenset()  # hint same_host, as hosts
    different_hosts: frozenset[str] = frozenset()  # hint different_host, as hosts
    tried_hosts: frozenset[str] = frozenset()  # where earlier attempts failed


ARCHITECTURES = {
    "amd64": "x86_64", "x64": "x86_64", "i386": "i686", "i486": "i686", "i586": "i686", "x86": "i686",
    "arm64": "aarch64", "powerpc": "ppc",
}  # fmt: skip
"""Other names of architectures, and the one that hosts report."""


def image_needs(properties: Mapping[str, str]) -> dict[str, str]:
    """What an image's properties want of a host, as fields of `Wanted`."""
    found = {
        "architecture": properties.get("hw_architecture") or properties.get("architecture"),
        "hypervisor_type": properties.get("img_hv_type") or properties.get("hypervisor_type"),
        "vm_mode": properties.get("hw_vm_mode") or properties.get("vm_mode"),
    }
    needs = {field: value.strip().lower() for field, value in found.items() if value}
    if "architecture" in needs:
        needs["architecture"] = ARCHITECTURES.get(needs["architecture"], needs["architecture"])
    return needs


def wanted_of(
    flavor: Flavor, properties: Mapping[str, str], *, is_volume_backed: bool, ram_mib: int | None = None
) -> Wanted:
    """What a server of this flavor and image wants, before any place or group is added (`msgspec.structs.replace`)."""
    needs = image_needs(properties)
    traits = {
        key.removeprefix("trait:"): value.strip().lower()
        for source in (flavor.extra_specs, properties)
        for key, value in source.items()
        if key.startswith("trait:")
    }
    return Wanted(
        ram_mib=flavor.ram_mib if ram_mib is None else ram_mib,
        vcpus=flavor.vcpus,
        disk_gib=flavor.local_disk_gib(is_volume_backed=is_volume_backed),
        architecture=needs.get("architecture"),
        hypervisor_type=needs.get("hypervisor_type"),
        vm_mode=needs.get("vm_mode"),
        required_traits=frozenset(name for name, value in traits.items() if value == "required"),
        forbidden_traits=frozenset(name for name, value in traits.items() if value == "forbidden"),
    )
