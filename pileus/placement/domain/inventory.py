"""How much of one resource class a provider has, and how it may be handed out."""

from dataclasses import dataclass

MAX_INT = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a provider has of one class; `used` is what consumers hold of it."""

    resource_class: str
    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = MAX_INT
    step_size: int = 1
    allocation_ratio: float = 1.0
    used: int = 0
    updated_at: int = 0  # UTC microseconds

    @property
    def capacity(self) -> int:
        """What may be used in all: the part that is not reserved, as often as the ratio says."""
        return int((self.total - self.reserved) * self.allocation_ratio)


def complaint(inventory: Inventory, *, may_reserve_all: bool) -> str:
    """What is wrong with an inventory; empty when nothing is. Up to 1.25 something must be left to hand out."""
    if inventory.reserved > inventory.total:
        return "reserved is more than total"
    if inventory.reserved == inventory.total and not may_reserve_all:
        return "reserved is not less than total"
    return ""
