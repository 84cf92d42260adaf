"""What only the fake must do: keep its file whole, be damaged on request, cost little."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pileus.foundation.runtime import Crashed, Runtime
from pileus.network.domain.data_plane import NetworkPlan, PortPlan
from pileus.network.drivers.fake import FakeBackend

NETWORK = NetworkPlan(id="0e700000-0000-4000-8000-000000000001")
Run = Callable[..., Any]


def port(number: int) -> PortPlan:
    return PortPlan(
        id=f"{number:08x}-1111-4000-8000-000000000001", network_id=NETWORK.id, mac=f"fa:16:3e:00:00:{number % 256:02x}"
    )


def fake(runtime: Runtime, state_dir: Path | None) -> FakeBackend:
    return FakeBackend(runtime, hostname="host", state_dir=state_dir, options={})


async def fill(backend: FakeBackend, *numbers: int) -> None:
    await backend.open()
    await backend.ensure_network(NETWORK)
    for number in numbers:
        await backend.ensure_port(port(number))


async def ports_of(backend: FakeBackend) -> list[PortPlan | None]:
    await backend.open()
    return [fact.plan for fact in (await backend.observe()).ports]


def test_without_a_state_directory_nothing_is_written(run: Run, runtime: Runtime, tmp_path: Path) -> None:
    run(fill, fake(runtime, None), 1)
    assert list(tmp_path.iterdir()) == []


def test_what_was_kept_is_there_after_a_kill(run: Run, runtime: Runtime, tmp_path: Path) -> None:
    run(fill, fake(runtime, tmp_path), 1, 2)  # never closed
    assert run(ports_of, fake(runtime, tmp_path)) == [port(1), port(2)]


def test_a_torn_last_record_never_happened(run: Run, runtime: Runtime, tmp_path: Path) -> None:
    run(fill, fake(runtime, tmp_path), 1, 2)
    path = tmp_path / "fake-network"
    path.write_bytes(path.read_bytes()[:-5])
    assert run(ports_of, fake(runtime, tmp_path)) == [port(1)]
    run(fill, fake(runtime, tmp_path), 3)
    assert run(ports_of, fake(runtime, tmp_path)) == [port(1), port(3)]


def test_the_file_does_not_grow_with_what_is_gone(run: Run, runtime: Runtime, tmp_path: Path) -> None:
    async def churn() -> None:
        backend = fake(runtime, tmp_path)
        await fill(backend)
        for number in range(3000):
            await backend.ensure_port(port(number))
            await backend.ensure_no_port(port(number).id)
        await backend.close()

    run(churn)
    assert (tmp_path / "fake-network").read_bytes().count(b"\n") < 1100
    assert run(ports_of, fake(runtime, tmp_path)) == []


def test_damage_is_seen_until_it_is_mended(run: Run, runtime: Runtime) -> None:
    async def scene() -> None:
        backend = fake(runtime, None)
        await fill(backend, 1)
        backend.damage(NETWORK.id, "no bridge")
        backend.damage(port(1).id, "no tap")
        facts = await backend.observe()
        assert (facts.networks[0].problems, facts.ports[0].problems) == (("no bridge",), ("no tap",))
        await fill(backend, 1)
        facts = await backend.observe()
        assert (facts.networks[0].problems, facts.ports[0].problems) == ((), ())

    run(scene)


@pytest.mark.parametrize("call", ["observe", "ensure_network", "ensure_port", "ensure_no_port"])
def test_a_dead_process_does_nothing_more(run: Run, tmp_path: Path, call: str) -> None:
    async def scene() -> None:
        dying = Runtime("dying")
        backend = fake(dying, tmp_path)
        await fill(backend, 1)
        dying.crash()
        arguments = {
            "observe": (), "ensure_network": (NETWORK,), "ensure_port": (port(2),), "ensure_no_port": (port(1).id,)
        }  # fmt: skip
        with pytest.raises(Crashed):
            await getattr(backend, call)(*arguments[call])
        assert await ports_of(fake(Runtime("next"), tmp_path)) == [port(1)]

    run(scene)
