"""What compute knows of an image: the facts that it copied from the image service when a server was asked for."""

from msgspec import Struct, field

GIB = 1 << 30


class Image(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image as it was when the server was created; sizes in bytes, GiB and MiB as named."""

    id: str
    name: str = ""
    status: str = "active"
    size_bytes: int = 0
    virtual_size_bytes: int | None = None
    disk_format: str = ""
    container_format: str = ""
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    hash_algo: str = ""
    hash_value: str = ""
    owner: str = ""
    visibility: str = ""
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def needed_disk_bytes(self) -> int:
        """How large a disk must be to hold the image's content."""
        return max(self.size_bytes, self.virtual_size_bytes or 0)
