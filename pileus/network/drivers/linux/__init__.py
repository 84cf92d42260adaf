"""Real wires on Linux: a bridge per network, a tap per port, DHCP by dnsmasq in a namespace of its own."""

from pileus.network.drivers.linux.backend import LinuxBackend

__all__ = ["LinuxBackend"]
