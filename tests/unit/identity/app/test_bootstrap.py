import asyncio
from pathlib import Path
from typing import Any

import msgspec

from pileus.identity.app.bootstrap import CatalogEntry, Plan, bootstrap
from pileus.identity.store import assignments, catalog, projects, roles, users
from tests.databases import everything_at
from tests.unit.identity.cloud import (
    ADMIN_PASSWORD,
    CATALOG,
    PLAN,
    Cloud,
    close_cloud,
    in_project,
    open_cloud,
    with_cloud,
)


async def snapshot(cloud: Cloud) -> list[Any]:
    db = cloud.identity.database
    found = [
        await projects.listed(db, []), await users.listed(db, []), await roles.listed(db, []),
        await assignments.listed(db, []), await catalog.services(db), await catalog.endpoints(db),
        await catalog.regions(db),
    ]  # fmt: skip
    book = await roles.book(db)
    return [*found, book.implied]


def test_a_new_cloud_has_what_every_cloud_has(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        found = await cloud.get("/v3/roles")
        assert {role["name"] for role in found["roles"]} == {"admin", "manager", "member", "reader", "service"}
        assert all(role["options"] == {"immutable": True} for role in found["roles"])
        assert (await cloud.get("/v3/domains"))["domains"][0]["id"] == "default"
        assert {each["name"] for each in (await cloud.get("/v3/projects"))["projects"]} == {"admin", "service"}
        listed = (await cloud.get("/v3/endpoints"))["endpoints"]
        assert len(listed) == 3 * len(CATALOG)
        assert {each["interface"] for each in listed} == {"admin", "internal", "public"}

    with_cloud(tmp_path, scenario)


def test_a_second_start_changes_nothing_and_keeps_the_keys(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = await open_cloud(tmp_path)
        before, keys, epoch = await snapshot(first), first.keys, first.identity.epoch.value
        await close_cloud(first)
        second = await open_cloud(tmp_path, keys=keys)
        assert await snapshot(second) == before
        assert second.keys == keys
        assert second.identity.epoch.value == epoch
        assert await second.service_token()
        await close_cloud(second)

    asyncio.run(scenario())


def test_lost_keys_are_made_anew_and_the_old_ones_end(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        new = await bootstrap(cloud.identity, PLAN)
        assert new["compute"] != cloud.keys["compute"]
        assert len(new["compute"]) == 43  # 256 bits
        assert (await cloud.log_in("compute", cloud.keys["compute"], in_project("service"))).status == 401
        assert (await cloud.log_in("compute", new["compute"], in_project("service"))).status == 201

    with_cloud(tmp_path, scenario)


def test_an_administrators_changes_stay(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        admin = (await cloud.get("/v3/users?name=admin"))["users"][0]
        await cloud.ask("PATCH", f"/v3/users/{admin['id']}", {"user": {"password": "mine"}})
        cloud.admin = await cloud.token("admin", "mine", in_project("admin"))
        compute = (await cloud.get("/v3/services?type=compute"))["services"][0]
        endpoint = (await cloud.get(f"/v3/endpoints?service_id={compute['id']}&interface=public"))["endpoints"][0]
        url = {"endpoint": {"url": "https://compute.example.org/v2.1"}}
        assert (await cloud.ask("PATCH", f"/v3/endpoints/{endpoint['id']}", url)).status == 200

        moved = [msgspec.structs.replace(CATALOG[0], url="/elsewhere/v3"), *CATALOG[1:]]
        image = CatalogEntry(type="image", name="glance", url="/image")
        plan = msgspec.structs.replace(PLAN, catalog=[*moved, image], keys=dict(cloud.keys))
        await bootstrap(cloud.identity, plan)

        assert (await cloud.log_in("admin", ADMIN_PASSWORD)).status == 401
        shown = {e["url"] for e in (await cloud.get("/v3/endpoints"))["endpoints"]}
        assert "https://compute.example.org/v2.1" in shown
        assert "http://cloud.test:8800/elsewhere/v3" in shown
        assert "http://cloud.test:8800/identity/v3" not in shown
        assert "http://cloud.test:8800/image" in shown

    with_cloud(tmp_path, scenario)


def test_no_key_or_password_stands_in_the_database(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        await cloud.make("user", name="ann", password="unmistakable")
        secrets = [*cloud.keys.values(), ADMIN_PASSWORD, "unmistakable", cloud.admin]
        await cloud.identity.database.durable()
        stored = everything_at(tmp_path / "identity.sqlite")
        assert len(stored) > 3_000
        assert not [secret for secret in secrets if secret.encode() in stored]

    with_cloud(tmp_path, scenario)


def test_a_plan_names_the_roles_of_each_account(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        plan = Plan(admin_password="x", region="RegionOne", catalog=CATALOG, accounts={"network": ("service", "admin")})
        keys = await bootstrap(cloud.identity, plan)
        token = (await cloud.log_in("network", keys["network"], in_project("service"))).json()["token"]
        assert {"service", "admin"} <= {role["name"] for role in token["roles"]}

    with_cloud(tmp_path, scenario)
