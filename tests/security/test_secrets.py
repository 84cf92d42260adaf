"""After a full run of everything: no token, password or user data in logs, traces, flows or on disk where none belongs.

The only file that may hold a secret in clear is `secrets.json`, of its owner alone. What a server's user gave for its
guest lies with the server, for the metadata service; nowhere else.
"""

import base64
import logging
import stat
from pathlib import Path
from typing import Any

import pytest

from pileus import secrets_file
from tests.cloud import User, World
from tests.conftest import Run

USER_DATA = base64.b64encode(b"#cloud-config\npassword: the guest's very own words\n").decode()
GUEST_PASSWORD = "Guest-Passw0rd-4711"


class Heard:
    """Everything that anybody could read afterwards."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, bytes]] = []

    def add(self, where: str, content: Any) -> None:
        self.texts.append((where, content if isinstance(content, bytes) else repr(content).encode()))

    def places(self, secret: str) -> list[str]:
        forms = {secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}
        return sorted({where for where, text in self.texts if any(form in text for form in forms)})


async def everything(world: World, admin: User) -> tuple[dict[str, str], Heard]:
    """A user's day: launch with user data, password, rebuild, snapshot, volumes, interfaces, failures, delete."""
    heard = Heard()
    user = await admin.create_user("ada", await admin.create_project("small"))
    flavor, image = await admin.create_flavor("small"), await admin.create_image("disk", visibility="public")
    network, volume = await user.create_network("net"), await user.create_volume("data")
    await user.volume_at_rest(volume)
    server = await user.launch("s", flavor=flavor, image=image, networks=[{"uuid": network}], user_data=USER_DATA,
                               adminPass=GUEST_PASSWORD, config_drive=True)  # fmt: skip
    failed = await user.launch("f", flavor=flavor, image=image, user_data=USER_DATA,
                               metadata={"pileus:fail": "spawn"})  # fmt: skip
    for one in (server, failed):
        await user.at_rest(one)
    actions = (
        ("changePassword", {"adminPass": GUEST_PASSWORD + "-2"}), ("createImage", {"name": "copy"}),
        ("rebuild", {"imageRef": image, "user_data": USER_DATA, "adminPass": GUEST_PASSWORD + "-3"}),
        ("os-stop", None), ("os-start", None),
    )  # fmt: skip
    for action, args in actions:
        answer = await user.act(server, action, args)
        assert answer.status in (200, 202), (action, answer.body)
        await user.at_rest(server)
    attach = {"volumeAttachment": {"volumeId": volume}}
    await user.post("compute", f"/servers/{server}/os-volume_attachments", attach)
    await world.finish_flows()
    for one in (server, failed):
        heard.add("trace", (await user.request("pileus", "GET", f"/traces/{one}")).body)
        heard.add("trace", (await admin.request("pileus", "GET", f"/traces/{one}")).body)
        heard.add("actions", (await user.request("compute", "GET", f"/servers/{one}/os-instance-actions")).body)
        heard.add("fault", str((await user.server(one) or {}).get("fault")))
    heard.add("flows", (await admin.request("pileus", "GET", "/flows")).body)
    for table in (name for name in world.tables() if name.endswith("_flows") or "action" in name or "outbox" in name):
        for row in world.rows(f"SELECT * FROM {table}"):
            heard.add(f"rows of {table}", tuple(row))
    secrets = {
        "the user's token": user.token, "the administrator's token": admin.token, "the user's password": user.password,
        "the guest's password": GUEST_PASSWORD, "user data": USER_DATA,
        "the administrator's password": world.cloud.secrets.admin_password,
        **{f"account {name}": key for name, key in world.cloud.secrets.accounts.items()},
    }  # fmt: skip
    return secrets, heard


def test_no_secret_is_where_somebody_may_read_it(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    state = tmp_path / "cloud"

    async def scenario() -> tuple[dict[str, str], Heard]:
        world = World(state, hosts=2)
        await world.start()
        found = await everything(world, await world.admin())
        await world.stop()
        return found

    secrets, heard = run(scenario)
    for record in caplog.records:
        heard.add("logs", logging.Formatter().format(record) + repr(record.__dict__))
    leaks = {name: heard.places(secret) for name, secret in secrets.items() if heard.places(secret)}
    assert leaks == {}
    on_disk = Heard()
    for path in state.rglob("*"):
        if path.is_file() and path.name != secrets_file.FILE:
            on_disk.add(str(path.relative_to(state)), path.read_bytes())
    del secrets["user data"]  # lies with the server, and on its config drive
    assert {name: on_disk.places(secret) for name, secret in secrets.items() if on_disk.places(secret)} == {}


def test_files_that_hold_secrets_are_their_owners_alone(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "cloud"

    async def scenario() -> None:
        world = World(state, hosts=1)
        await world.start()
        await everything(world, await world.admin())
        for path in [state / secrets_file.FILE, *state.glob("pileus.db*"), *state.glob("images/*")]:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        await world.stop()

    run(scenario)


def test_the_sealed_token_of_a_launch_is_gone_once_it_has_ended(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        await everything(world, await world.admin())
        await world.finish_flows()
        assert world.rows("SELECT id FROM compute_flows WHERE state IN ('done', 'failed')")
        assert world.rows("SELECT name FROM compute_flows WHERE secret IS NOT NULL") == []
        await world.stop()

    run(scenario)
