"""Which networks a server asks for, before any of it exists."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from pileus.compute.domain.errors import NetworkInvalid

Mode = Literal["auto", "none", "list"]


class NicRequest(Struct, frozen=True, omit_defaults=True):
    """One wanted interface: a port that exists, or a network on which to make one, perhaps at a fixed address."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class NetworkRequest(Struct, frozen=True, omit_defaults=True):
    """`none`: no interface. `auto`: the project's only network. `list`: exactly `nics`, in this order."""

    mode: Mode = "auto"
    nics: tuple[NicRequest, ...] = ()


AUTO = NetworkRequest("auto")
NONE = NetworkRequest("none")


def read_networks(networks: Sequence[Mapping[str, Any]] | str | None) -> NetworkRequest:
    """Return what the request's `networks` asks for; None and the empty list mean auto.

    Raises: NetworkInvalid (400).
    """
    if networks is None or networks == "auto" or not networks:
        return AUTO
    if networks == "none":
        return NONE
    if isinstance(networks, str):
        raise NetworkInvalid("Bad networks format")
    nics = tuple(_nic(entry) for entry in networks)
    _refuse_twins([nic.port_id for nic in nics if nic.port_id], "port")
    _refuse_twins([nic.fixed_ip for nic in nics if nic.fixed_ip], "fixed IP")
    _refuse_twins([nic.tag for nic in nics if nic.tag], "tag")
    return NetworkRequest("list", nics)


def check_count(request: NetworkRequest, max_count: int) -> None:
    """Refuse several servers that would share a port or an address. Raises: NetworkInvalid (400)."""
    if max_count <= 1:
        return
    if any(nic.port_id for nic in request.nics):
        raise NetworkInvalid(
            "Unable to launch multiple instances with a single configured port ID. Please launch your instance one by "
            "one with different ports."
        )
    if any(nic.fixed_ip for nic in request.nics):
        raise NetworkInvalid("max_count cannot be greater than 1 if an fixed_ip is specified.")


def ports_to_create(request: NetworkRequest) -> int:
    """How many ports one server of this request will add to its project's count."""
    if request.mode == "auto":
        return 1
    return sum(1 for nic in request.nics if nic.port_id is None)


def _nic(entry: Mapping[str, Any]) -> NicRequest:
    network_id, port_id, fixed_ip = entry.get("uuid"), entry.get("port"), entry.get("fixed_ip")
    if port_id:
        if fixed_ip:
            raise NetworkInvalid(
                f"Specified Fixed IP '{fixed_ip}' cannot be used with port '{port_id}': the two cannot be specified "
                "together."
            )
        return NicRequest(None, port_id, None, entry.get("tag"))
    if not network_id:
        raise NetworkInvalid("Bad network format: missing uuid")
    if fixed_ip is not None:
        fixed_ip = _address(fixed_ip)
    return NicRequest(network_id, None, fixed_ip, entry.get("tag"))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as wrong:
        raise NetworkInvalid(f"Invalid fixed IP address ({text})") from wrong


def _refuse_twins(values: list[str], what: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise NetworkInvalid(f"Invalid networks: the {what} {value} is given twice")
