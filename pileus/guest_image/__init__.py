"""The small guest image of the project: a real Linux of about 20 MB, made on this machine from Debian's packages.

It serves the demo and the tests where a real guest is wanted. Boots by BIOS and UEFI in 128 MB of memory, takes its
address by DHCP, its name, keys and user data from a config drive or the metadata service. Login: `USER`, by key or
`PASSWORD` (known to everybody: the image is for trying things out). Refuses to be a distribution.
"""

from pileus.guest_image.build import PASSWORD, USER, BuildFailed, build_image, ensure_image

__all__ = ["PASSWORD", "USER", "BuildFailed", "build_image", "ensure_image"]
