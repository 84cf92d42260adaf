"""Which addresses a port gets, inside the transaction that makes or changes the port."""

from collections.abc import Sequence
from typing import NamedTuple

from pileus.foundation.database import Transaction
from pileus.network.domain.address import Address, eui64, parse
from pileus.network.domain.errors import (
    AllocationOnAutoAddressSubnet,
    HTTPBadRequest,
    InvalidInput,
    InvalidIpForNetwork,
    InvalidIpForSubnet,
    IpAddressAlreadyAllocated,
    IpAddressGenerationFailure,
)
from pileus.network.domain.port import MOST_ADDRESSES, OF_ROUTERS, FixedIp
from pileus.network.domain.subnet import Subnet
from pileus.network.store import addresses


class AddressRequest(NamedTuple):
    """One wish of a caller: an address, a subnet, or an address in a subnet."""

    subnet_id: str | None = None
    address: str | None = None


class Seat(NamedTuple):
    """The port that asks, and where."""

    port_id: str
    network_id: str
    mac: str
    owner: str
    subnets: Sequence[Subnet]

    @property
    def is_of_router(self) -> bool:
        return self.owner in OF_ROUTERS


async def assign(tx: Transaction, seat: Seat, wishes: Sequence[AddressRequest] | None) -> tuple[FixedIp, ...]:
    """Give a new port its addresses. None means what the network offers: one of each family, and every automatic one.

    Raises: InvalidInput, InvalidIpForNetwork, InvalidIpForSubnet, AllocationOnAutoAddressSubnet (400),
    IpAddressAlreadyAllocated, IpAddressGenerationFailure (409).
    """
    given = [] if wishes is None else check_wishes(wishes)
    fixed = await _by_default(tx, seat) if wishes is None else [await _grant(tx, seat, wish) for wish in given]
    if not seat.is_of_router:
        fixed += await _automatic(tx, seat, {item.subnet_id for item in fixed})
    return tuple(fixed)


async def reassign(
    tx: Transaction, seat: Seat, have: Sequence[FixedIp], wishes: Sequence[AddressRequest]
) -> tuple[FixedIp, ...]:
    """Change a port's addresses to what is wished, keeping those that fit a wish. Raises as `assign` does."""
    left = list(have)
    kept: list[FixedIp | None] = []
    for wish in check_wishes(wishes):
        match = next((item for item in left if _fits(item, wish)), None)
        if match is not None:
            left.remove(match)
        kept.append(match)
    automatic = {subnet.id for subnet in seat.subnets if subnet.is_automatic}
    staying = [item for item in left if item.subnet_id in automatic and not seat.is_of_router]
    by_id = {subnet.id: subnet for subnet in seat.subnets}
    for item in left:
        if item not in staying:
            await addresses.give_back(tx, by_id[item.subnet_id], parse(item.ip_address), seat.port_id)
    fixed = [
        item if item is not None else await _grant(tx, seat, wish) for item, wish in zip(kept, wishes, strict=True)
    ]
    return (*fixed, *staying)


def check_wishes(wishes: Sequence[AddressRequest]) -> Sequence[AddressRequest]:
    """Raises: HTTPBadRequest (400) for an address asked for twice, or for too many."""
    asked = [wish.address for wish in wishes if wish.address]
    for address in asked:
        if asked.count(address) > 1:
            raise HTTPBadRequest(reason=f"Invalid input for fixed_ips. Reason: Duplicate IP address '{address}'.")
    if len(wishes) > MOST_ADDRESSES:
        raise InvalidInput(reason=f"Exceeded maximum amount of fixed ips per port ({MOST_ADDRESSES})")
    return wishes


def _fits(item: FixedIp, wish: AddressRequest) -> bool:
    if wish.address is not None and str(_parsed(wish.address)) != item.ip_address:
        return False
    return wish.subnet_id is None or wish.subnet_id == item.subnet_id


async def _by_default(tx: Transaction, seat: Seat) -> list[FixedIp]:
    fixed: list[FixedIp] = []
    for family in (4, 6):
        offers = [subnet for subnet in seat.subnets if subnet.ip_version == family and not subnet.is_automatic]
        if offers:
            fixed.append(await _first_free(tx, seat, offers))
    return fixed


async def _first_free(tx: Transaction, seat: Seat, offers: Sequence[Subnet]) -> FixedIp:
    for subnet in offers:
        address = await addresses.take_any(tx, subnet, seat.port_id)
        if address is not None:
            return FixedIp(subnet.id, str(address))
    raise IpAddressGenerationFailure(network_id=seat.network_id)


async def _automatic(tx: Transaction, seat: Seat, have: set[str]) -> list[FixedIp]:
    """The addresses that the guest will compute for itself."""
    return [
        await _take(tx, seat, subnet, eui64(subnet.block, seat.mac))
        for subnet in seat.subnets
        if subnet.is_automatic and subnet.id not in have
    ]


async def take_automatic(tx: Transaction, seat: Seat, subnet: Subnet) -> FixedIp:
    """Note the address that a guest computes in a subnet that came to its network later."""
    return await _take(tx, seat, subnet, eui64(subnet.block, seat.mac))


# -- one wish -----------------------------------------------------------------------------------------------------
async def _grant(tx: Transaction, seat: Seat, wish: AddressRequest) -> FixedIp:
    if wish.address is None:
        return await _any_in(tx, seat, _subnet(seat, wish.subnet_id))
    address = _parsed(wish.address)
    if wish.subnet_id is None:
        subnet = next((item for item in seat.subnets if item.block.holds(address)), None)
        if subnet is None:
            raise InvalidIpForNetwork(address=wish.address)
    else:
        subnet = _subnet(seat, wish.subnet_id)
    if not (subnet.block.holds(address) and subnet.block.usable.holds(address.number)):
        raise InvalidIpForSubnet(address=wish.address)
    if subnet.is_automatic and not seat.is_of_router and address != eui64(subnet.block, seat.mac):
        raise AllocationOnAutoAddressSubnet(address=wish.address, subnet_id=subnet.id)
    return await _take(tx, seat, subnet, address)


def _parsed(text: str) -> Address:
    try:
        return parse(text)
    except ValueError:
        raise HTTPBadRequest(
            reason=f"Invalid input for fixed_ips. Reason: '{text}' is not a valid IP address."
        ) from None


def _subnet(seat: Seat, subnet_id: str | None) -> Subnet:
    for subnet in seat.subnets:
        if subnet.id == subnet_id:
            return subnet
    raise InvalidInput(
        reason=f"Failed to create port on network {seat.network_id}, because fixed_ips included invalid subnet "
        f"{subnet_id}"
    )


async def _any_in(tx: Transaction, seat: Seat, subnet: Subnet) -> FixedIp:
    if subnet.is_automatic and not seat.is_of_router:
        return await _take(tx, seat, subnet, eui64(subnet.block, seat.mac))
    return await _first_free(tx, seat, [subnet])


async def _take(tx: Transaction, seat: Seat, subnet: Subnet, address: Address) -> FixedIp:
    if not await addresses.take(tx, subnet, address, seat.port_id):
        raise IpAddressAlreadyAllocated(address=address, subnet_id=subnet.id)
    return FixedIp(subnet.id, str(address))
