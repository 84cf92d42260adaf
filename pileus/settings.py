"""What one cloud is started with. Every value has a default that works on a laptop."""

from pathlib import Path

import msgspec


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded cloud. Paths belong to whoever runs it; times in seconds."""

    state_dir: Path
    address: str = "127.0.0.1"
    port: int = 8800
    public_url: str = ""  # how clients reach the cloud; empty: as each request addressed it
    region: str = "RegionOne"
    zone: str = "nova"
    hypervisor: str = "libvirt"
    hosts: int = 1  # of the fake hypervisor
    host_name: str = ""  # of this machine; empty: as the kernel names it
    hypervisor_options: dict[str, object] = {}
    lease_s: float = 15.0
    heartbeat_s: float = 10.0
    caching: bool = True  # of token validations
    password_cost: dict[str, int] = {}  # of argon2id: passes, memory_kib, lanes; what is not named: full strength
