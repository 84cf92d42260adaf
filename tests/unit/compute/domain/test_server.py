"""What a server says of itself, and its lock."""

from collections.abc import Callable

import pytest

from pileus.compute.domain.block_device import BlockDevice
from pileus.compute.domain.errors import UnlockForbidden
from pileus.compute.domain.server import Address, Interface, Server, changed, lock, unlock

NOW = 5
Make = Callable[..., Server]


def test_the_guests_name_appears_with_the_host(make_server: Make) -> None:
    assert make_server(number=125).instance_name == "instance-0000007d"
    assert make_server(number=125, host=None).instance_name == ""


def test_addresses_are_grouped_by_network_in_the_order_of_the_interfaces(make_server: Make) -> None:
    first = Interface("p1", "n1", "red", "fa:16:3e:00:00:01", (Address("10.0.0.5"), Address("2001:db8::5")))
    second = Interface("p2", "n2", "blue", "fa:16:3e:00:00:02", (Address("10.1.0.5"),))
    third = Interface("p3", "n1", "red", "fa:16:3e:00:00:03", (Address("10.0.0.6", kind="floating"),))
    shown = make_server(interfaces=(first, second, third)).addresses()
    assert list(shown) == ["red", "blue"]
    assert [(address.version, address.address, mac[-1]) for address, mac in shown["red"]] == [
        (4, "10.0.0.5", "1"), (6, "2001:db8::5", "1"), (4, "10.0.0.6", "3"),
    ]  # fmt: skip


def test_a_server_whose_root_is_a_volume_is_volume_backed(make_server: Make) -> None:
    root = BlockDevice(boot_index=0, source="volume", destination="volume", volume_id="v")
    data = BlockDevice(source="volume", destination="volume", volume_id="w")
    local = BlockDevice(boot_index=0, source="image", image_id="i")
    assert make_server(block_devices=(root,)).is_volume_backed
    assert not make_server(block_devices=(local, data)).is_volume_backed
    assert make_server(block_devices=(local, data)).volume_devices == (data,)


def test_a_change_of_facts_is_dated(make_server: Make) -> None:
    assert changed(make_server(), NOW, name="new").updated_at == NOW


def test_an_owner_unlocks_what_the_owner_locked(make_server: Make) -> None:
    locked = lock(make_server(), NOW, by_admin=False, reason="mine")
    assert (locked.is_locked, locked.locked_by, locked.locked_reason) == (True, "owner", "mine")
    opened = unlock(locked, NOW, may_override=False)
    assert (opened.is_locked, opened.locked_reason) == (False, None)


def test_an_owner_neither_opens_nor_takes_over_an_administrators_lock(make_server: Make) -> None:
    locked = lock(make_server(), NOW, by_admin=True)
    with pytest.raises(UnlockForbidden):
        unlock(locked, NOW, may_override=False)
    again = lock(locked, NOW, by_admin=False)
    assert again.locked_by == "admin"
    assert not unlock(again, NOW, may_override=True).is_locked
