"""Delete works from every state, whatever is or seems to be in flight, and leaves nothing."""

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pileus.compute.domain.server_states import TaskState, VmState
from pileus.compute.store import servers
from pileus.foundation.database import Transaction
from pileus.foundation.simulation import simulate
from tests.cloud import User, World
from tests.holdings import holdings

STATES = [state for state in VmState if state is not VmState.DELETED]


async def forced_into(world: World, server_id: str, vm_state: VmState, task_state: TaskState | None) -> None:
    """Write a state into the row, as a bug or a lost process may have left it."""
    compute = world.cloud.compute

    async def work(tx: Transaction) -> None:
        before = await servers.get(tx, server_id)
        await servers.save(tx, before, replace(before, vm_state=vm_state, task_state=task_state), compute.render)

    await compute.database.transact(work)


async def prepared(world: World) -> tuple[User, Any]:
    await world.start()
    admin = await world.admin()
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
    network = await admin.create_network("net")
    return admin, {"flavor": flavor, "image": image, "networks": [{"uuid": network}]}


def play(path: Path, story: Any) -> None:
    async def history(chance: random.Random) -> None:
        world = World(path / "cloud", chance)
        await story(world, *await prepared(world))
        await world.stop()

    simulate(8, history)


@pytest.mark.parametrize("vm_state", STATES)
def test_delete_works_from_every_state(tmp_path: Path, vm_state: VmState) -> None:
    async def story(world: World, user: User, wanted: Any) -> None:
        tasks = [None, *random.Random(vm_state.value).sample(list(TaskState), 5)]
        for task_state in tasks:
            server = await user.launch("doomed", **wanted)
            await user.at_rest(server)
            await forced_into(world, server, vm_state, task_state)
            answer = await user.request("compute", "DELETE", f"/servers/{server}")
            assert answer.status == 204, (task_state, answer.body)
            assert await user.at_rest(server) is None, task_state
            await world.settle()
            assert holdings(world.state_dir).of(server) == [], task_state
        assert await world.audit() == []

    play(tmp_path, story)


def test_delete_during_every_moment_of_a_launch(tmp_path: Path) -> None:
    async def story(world: World, user: User, wanted: Any) -> None:
        for moment in range(12):
            server = await user.launch("doomed", **wanted, metadata={"pileus:delay": "spawn:0.02"})
            await world.runtime.sleep(moment * 0.004)
            assert (await user.request("compute", "DELETE", f"/servers/{server}")).status == 204
            assert await user.at_rest(server) is None
            await world.settle()
            assert holdings(world.state_dir).of(server) == [], moment
        assert await world.audit() == []

    play(tmp_path, story)


def test_a_locked_server_refuses_delete_until_it_is_unlocked(tmp_path: Path) -> None:
    async def story(world: World, admin: User, wanted: Any) -> None:
        user = await admin.create_user("owner", await admin.create_project("theirs"))
        wanted["networks"] = "none"
        image = await admin.create_image("shared", visibility="public")
        server = await user.launch("kept", **(wanted | {"image": image}))
        await user.at_rest(server)
        await user.act(server, "lock")
        assert (await user.request("compute", "DELETE", f"/servers/{server}")).status == 409
        await user.act(server, "unlock")
        assert (await user.request("compute", "DELETE", f"/servers/{server}")).status == 204
        assert await user.at_rest(server) is None

    play(tmp_path, story)
