"""Files of guests: whole or absent, bounded, and nobody else's."""

import asyncio
import io
from pathlib import Path

import pycdlib
import pytest

from pileus.compute.drivers.base import BadDevice
from pileus.compute.drivers.libvirt.files import (
    LOG_KEPT,
    LOG_LIMIT,
    GuestStorage,
    Marker,
    iso_image,
)
from pileus.foundation.runtime import Runtime

SERVER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def storage(tmp_path: Path) -> GuestStorage:
    storage = GuestStorage(Runtime("test"), tmp_path)
    storage.prepare()
    return storage


@pytest.fixture
def directory(storage: GuestStorage, tmp_path: Path) -> Path:
    directory = tmp_path / "guests" / SERVER
    directory.mkdir()
    return directory


def test_a_config_drive_has_the_label_and_the_long_names() -> None:
    files = {
        "openstack/latest/meta_data.json": b"{}",
        "openstack/latest/network_data.json": b"[]",
        "openstack/2018-08-27/meta_data.json": b"{}",
        "openstack/content/0000": b"x" * 5000,
        "ec2/latest/meta-data.json": b"",
    }
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(iso_image(files)))
    assert iso.pvd.volume_identifier.strip() == b"config-2"
    for facade in ({"rr_path": None}, {"joliet_path": None}):
        (kind,) = facade
        for name, content in files.items():
            with iso.open_file_from_iso(**{kind: f"/{name}"}) as file:
                assert file.read() == content


def test_files_without_a_marker_belong_to_no_build(storage: GuestStorage, directory: Path) -> None:
    assert storage.marker(SERVER) is None
    (directory / "guest.json").write_bytes(b'{"server_id": "x"')
    assert storage.marker(SERVER) is None
    (directory / "guest.json").write_bytes(b'{"server_id": "x", "epoch": 4, "later": 1}')
    assert storage.marker(SERVER) == Marker(server_id="x", epoch=4)
    assert storage.server_ids() == {SERVER}


def test_removing_takes_the_whole_directory_and_may_be_repeated(storage: GuestStorage, directory: Path) -> None:
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "deep" / "er" / "file").touch()
    for _ in range(2):
        storage.remove(SERVER)
        assert storage.server_ids() == set()


@pytest.mark.parametrize("server_id", ["..", "/etc", ""])
def test_only_a_server_has_files(storage: GuestStorage, server_id: str) -> None:
    with pytest.raises(BadDevice):
        storage.remove(server_id)


def test_a_console_is_read_over_logs_that_were_rotated(storage: GuestStorage, directory: Path) -> None:
    assert storage.console(SERVER) == b""
    (directory / "console.log.1").write_bytes(b"first\n")
    (directory / "console.log.0").write_bytes(b"then\n")
    (directory / "console.log").write_bytes(b"now")
    assert storage.console(SERVER) == b"first\nthen\nnow"
    (directory / "console.log.0").write_bytes(b"x" * (3 << 20))
    assert storage.console(SERVER).endswith(b"xxnow")
    assert len(storage.console(SERVER)) == 1 << 20


def test_a_guest_that_talks_too_much_keeps_only_its_last_words(storage: GuestStorage, directory: Path) -> None:
    log = directory / "console.log"
    with log.open("ab") as qemu:
        qemu.write(b"a" * LOG_LIMIT)
        qemu.flush()
        storage.trim_consoles()
        assert log.stat().st_size == LOG_LIMIT
        qemu.write(b"last words")
        qemu.flush()
        storage.trim_consoles()
        assert log.stat().st_size == LOG_KEPT
        qemu.write(b"!")
    assert log.read_bytes().endswith(b"aalast words!")


def test_others_may_pass_through_to_the_guests_and_not_look(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    GuestStorage(Runtime("test"), state).prepare()
    assert state.stat().st_mode & 0o777 == 0o711
    assert (state / "guests").stat().st_mode & 0o777 == 0o711


def test_the_answer_of_the_kvm_probe_is_remembered_until_the_next_boot(tmp_path: Path) -> None:
    from pileus.compute.drivers.libvirt.host import remembered_kvm

    async def ask(boot_id: str, emulator: str) -> str:
        runtime = Runtime("test")
        runtime.boot_id = boot_id
        try:
            return (await remembered_kvm(runtime, tmp_path, emulator=emulator)).why
        finally:
            await runtime.stop()

    first = asyncio.run(ask("boot 1", "/nowhere/qemu"))
    (tmp_path / "kvm.json").write_text((tmp_path / "kvm.json").read_text().replace(first, "remembered"))
    assert asyncio.run(ask("boot 1", "/nowhere/qemu")) == "remembered"
    assert asyncio.run(ask("boot 2", "/nowhere/qemu")) == first
