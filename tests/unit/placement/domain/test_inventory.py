"""What a provider has, and how much of it may be used."""

import pytest

from pileus.placement.domain.inventory import Inventory, complaint


@pytest.mark.parametrize(
    ("inventory", "capacity"),
    [
        (Inventory("VCPU", 8), 8),
        (Inventory("VCPU", 8, reserved=2), 6),
        (Inventory("VCPU", 8, reserved=2, allocation_ratio=4.0), 24),
        (Inventory("VCPU", 3, allocation_ratio=1.5), 4),
        (Inventory("VCPU", 8, reserved=8), 0),
        (Inventory("VCPU", 8, allocation_ratio=0.0), 0),
    ],
)
def test_capacity_is_what_is_not_reserved_as_often_as_the_ratio_says(inventory: Inventory, capacity: int) -> None:
    assert inventory.capacity == capacity


@pytest.mark.parametrize(
    ("reserved", "may_reserve_all", "is_fine"), [(7, False, True), (8, False, False), (8, True, True), (9, True, False)]
)
def test_reserving_everything_is_for_later_versions(reserved: int, may_reserve_all: bool, is_fine: bool) -> None:
    inventory = Inventory("VCPU", 8, reserved=reserved)
    assert bool(complaint(inventory, may_reserve_all=may_reserve_all)) is not is_fine
