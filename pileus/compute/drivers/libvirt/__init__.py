"""Real guests, through libvirt and QEMU. The binding is imported only when the driver itself is asked for."""

from typing import TYPE_CHECKING, Any

from pileus.compute.drivers.base import HypervisorUnavailable

if TYPE_CHECKING:
    from pileus.compute.drivers.libvirt.driver import LibvirtHypervisor as LibvirtHypervisor

__all__ = ["LibvirtHypervisor"]


def __getattr__(name: str) -> Any:
    if name != "LibvirtHypervisor":
        raise AttributeError(name)
    try:
        from pileus.compute.drivers.libvirt.driver import LibvirtHypervisor
    except ModuleNotFoundError as missing:
        raise HypervisorUnavailable(
            f"The Python module {missing.name} is missing: install the package python3-libvirt "
            "and run `make setup`, or choose `--hypervisor fake`."
        ) from missing
    return LibvirtHypervisor
