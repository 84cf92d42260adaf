"""What is known of flavors' extra specs: the names of the spaces that mean something, and what they may say.

Names outside these spaces are the operator's own and are let through. Source: Compute API reference, microversion 2.86,
and the user guide's list of extra specs.
"""

import re

from pileus.foundation.errors import BadRequest

_BOOLEAN = r"(?i)true|false|yes|no|on|off|1|0|y|n|t|f"
_COUNT = r"\d+"
_SIZE = r"(?i)small|large|any|\d+\s*([kmg]i?b?)?"
_CPUS = r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*"
_ANY = r".*"

_KNOWN: dict[str, str] = {
    r"hw:boot_menu": _BOOLEAN,
    r"hw:cpu_cores": _COUNT,
    r"hw:cpu_dedicated_mask": _CPUS,
    r"hw:cpu_emulator_threads|hw:emulator_threads_policy": r"isolate|share",
    r"hw:cpu_max_(cores|sockets|threads)": _COUNT,
    r"hw:cpu_policy": r"dedicated|shared|mixed",
    r"hw:cpu_realtime": _BOOLEAN,
    r"hw:cpu_realtime_mask": _CPUS,
    r"hw:cpu_sockets": _COUNT,
    r"hw:cpu_thread_policy": r"prefer|isolate|require",
    r"hw:cpu_threads": _COUNT,
    r"hw:hide_hypervisor_id": _BOOLEAN,
    r"hw:input_bus": r"usb|virtio",
    r"hw:locked_memory": _BOOLEAN,
    r"hw:machine_type": _ANY,
    r"hw:maxphysaddr_bits": _COUNT,
    r"hw:maxphysaddr_mode": r"passthrough|emulate",
    r"hw:mem_encryption": _BOOLEAN,
    r"hw:mem_encryption_model": r"amd-sev|amd-sev-es",
    r"hw:mem_page_size": _SIZE,
    r"hw:numa_cpus\.\d+": _CPUS,
    r"hw:numa_mem\.\d+": _COUNT,
    r"hw:numa_nodes": r"[1-9]\d*",
    r"hw:pci_numa_affinity_policy": r"required|preferred|legacy|socket",
    r"hw:pmem": _ANY,
    r"hw:serial_port_count": _COUNT,
    r"hw:sound_model": r"[a-z0-9-]+",
    r"hw:tpm_model": r"tpm-tis|tpm-crb",
    r"hw:tpm_secret_security": r"user|host|deployment",
    r"hw:tpm_version": r"1\.2|2\.0",
    r"hw:usb_model": r"[a-z0-9-]+",
    r"hw:vif_multiqueue_enabled": _BOOLEAN,
    r"hw:viommu_model": r"intel|smmuv3|virtio|auto",
    r"hw:virtio_packed_ring": _BOOLEAN,
    r"hw:watchdog_action": r"none|pause|poweroff|reset|disabled",
    r"hw:redirected_usb_ports": _COUNT,
    r"hw_rng:allowed": _BOOLEAN,
    r"hw_rng:rate_bytes": _COUNT,
    r"hw_rng:rate_period": _COUNT,
    r"hw_video:ram_max_mb": _COUNT,
    r"os:monitors": _COUNT,
    r"os:resolution": r"\d+x\d+",
    r"os:secure_boot": r"disabled|required|optional",
    r"pci_passthrough:alias": r"[^:]+:\d+(,[^:]+:\d+)*",
    r"quota:(cpu|memory|disk_io|vif|disk|cpu_shares)_\w+|quota:cpu_\w+": r"-?\w+",
    r"resources\d*:\w+": _COUNT,
    r"trait\d*:\w+": r"required|forbidden",
    r"accel:device_profile": _ANY,
    r"group_policy": r"isolate|none",
}
_COMPILED = [(re.compile(name), re.compile(value)) for name, value in _KNOWN.items()]
_SPACE = re.compile(r"(hw|hw_rng|hw_video|os|pci_passthrough|quota|resources\d*|trait\d*|accel):.*")


class ExtraSpecInvalid(BadRequest):
    code = "compute.flavor.extra-spec-invalid"
    message = "Validation failed; extra spec '{name}' {complaint}"


def check_known(specs: dict[str, str]) -> None:
    """Refuse names that a known space does not have, and values that a known name cannot have.

    Raises: ExtraSpecInvalid (400).
    """
    for name, value in specs.items():
        pattern = next((values for names, values in _COMPILED if names.fullmatch(name)), None)
        if pattern is None:
            if _SPACE.fullmatch(name):
                raise ExtraSpecInvalid(name=name, complaint="does not appear to be a valid extra spec.")
        elif not pattern.fullmatch(value):
            raise ExtraSpecInvalid(name=name, complaint=f"cannot be '{value}'.")
