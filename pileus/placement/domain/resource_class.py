"""What can be counted: the standard resource classes, and those that operators add under CUSTOM_.

Source: the names of os-resource-classes 1.1.0, in the order in which they came to be.
"""

import re

STANDARD = (
    "VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD",
    "NUMA_MEMORY_MB", "IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC", "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
)  # fmt: skip

_STANDARD = frozenset(STANDARD)
NAME = r"^[A-Z0-9_]+$"
CUSTOM_NAME = r"^CUSTOM_[A-Z0-9_]+$"
_NAME = re.compile(r"[A-Z0-9_]{1,255}")
_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]+")


def is_standard(name: str) -> bool:
    return name in _STANDARD


def is_name(text: str) -> bool:
    """Whether a class or trait may be called so."""
    return _NAME.fullmatch(text) is not None


def is_custom(name: str) -> bool:
    """Whether this may be the name of a class or trait that an operator adds."""
    return len(name) <= 255 and _CUSTOM.fullmatch(name) is not None
