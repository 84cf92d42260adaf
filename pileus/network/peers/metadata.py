"""What the metadata listener asks of compute: the documents of the server behind an address."""

from collections.abc import Mapping
from typing import Protocol


class GuestDocuments(Protocol):
    """Compute's answer to a guest that asks who it is.

    The two arguments come from the wire the question arrived on, never from anything the guest says.
    """

    async def documents(self, network_id: str, fixed_ip: str) -> Mapping[str, bytes] | None:
        """Every document by path ("openstack/latest/meta_data.json"); None when no server has that address.

        A path that ends with a slash ("latest/meta-data/public-keys/") is the listing of that directory, for those
        whose listing is more than the names below it; "/" is the root's. Raises Unavailable.
        """

    async def keep_password(self, network_id: str, fixed_ip: str, password: str) -> bool:
        """Keep what the guest wrote as its password for its owner; False when there is one already.

        Raises Unavailable.
        """
