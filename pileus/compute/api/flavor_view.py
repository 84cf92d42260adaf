"""Flavors in answers."""

from typing import Any

from pileus.compute.domain.flavor import Flavor
from pileus.compute.domain.server_document import links
from pileus.foundation.http.versions import Version


def brief(flavor: Flavor, version: Version) -> dict[str, Any]:
    """What a plain list shows."""
    found: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": links("flavors", flavor.id)}
    if version >= (2, 55):
        found["description"] = flavor.description
    return found


def detailed(flavor: Flavor, version: Version, *, extra_specs: bool) -> dict[str, Any]:
    """A flavor whole; `extra_specs` only where version and policy let them be seen."""
    found: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "ram": flavor.ram_mib,
        "disk": flavor.disk_gib,
        "swap": flavor.swap_mib if flavor.swap_mib or version >= (2, 75) else "",
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gib,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "links": links("flavors", flavor.id),
    }
    if version < (2, 102):
        found["OS-FLV-DISABLED:disabled"] = flavor.is_disabled
        found["rxtx_factor"] = flavor.rxtx_factor
    if version >= (2, 55):
        found["description"] = flavor.description
    if extra_specs:
        found["extra_specs"] = flavor.extra_specs
    return found
