"""Users, projects, groups, roles and the catalog: what is made is shown, listed, found, changed and gone."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.identity.cloud import ADMIN_PASSWORD, BASE, Cloud, in_project, with_cloud


def test_a_user_is_made_with_attributes_of_the_clients_own(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="x", email="a@b", description="d", shoe=[1, {"a": None}])
        path = f"/v3/users/{user['id']}"
        assert user == {
            "id": user["id"], "name": "ann", "domain_id": "default", "enabled": True, "password_expires_at": None,
            "options": {}, "email": "a@b", "description": "d", "shoe": [1, {"a": None}],
            "links": {"self": BASE + path},
        }  # fmt: skip
        assert (await cloud.get(path))["user"] == user
        changes = {"name": "anna", "email": None, "options": {"lock_password": True}}
        answer = await cloud.ask("PATCH", path, {"user": changes})
        assert answer.json()["user"] == user | {"name": "anna", "email": None, "options": {"lock_password": True}}
        answer = await cloud.ask("PATCH", path, {"user": {"options": {"lock_password": None}}})
        assert answer.json()["user"]["options"] == {}
        assert (await cloud.ask("DELETE", path)).status == 204
        assert (await cloud.ask("GET", path)).status == 404

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("word", "enabled"), [("FALSE", False), ("false", False), ("0", False), ("True", True), (True, True)]
)
def test_a_word_for_enabled_means_what_it_says(tmp_path: Path, word: Any, enabled: bool) -> None:
    """OSSA-2026-007: the text "FALSE" was taken for true."""

    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="ann", password="x", enabled=word)
        assert user["enabled"] is enabled
        assert (await cloud.log_in("ann", "x")).status == (201 if enabled else 401)

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
def test_names_are_unique_whatever_their_case(tmp_path: Path, kind: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        first = await cloud.make(kind, name="Same")
        answer = await cloud.ask("POST", f"/v3/{kind}s", {kind: {"name": "sAME"}})
        assert answer.status == 409
        assert answer.json()["error"]["message"].startswith("Conflict occurred attempting to store ")
        other = await cloud.make(kind, name="Other")
        answer = await cloud.ask("PATCH", f"/v3/{kind}s/{other['id']}", {kind: {"name": "SAME"}})
        assert answer.status == 409
        answer = await cloud.ask("PATCH", f"/v3/{kind}s/{first['id']}", {kind: {"name": "SAME"}})
        assert (answer.status, answer.json()[kind]["name"]) == (200, "SAME")
        if kind in ("project", "user", "group"):
            domain = await cloud.make("domain", name="elsewhere")
            await cloud.make(kind, name="Same", domain_id=domain["id"])

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=Alpha", {"Alpha"}),
        ("name=alpha", {"Alpha"}),
        ("name=alph", set()),
        ("name__contains=lph", {"Alpha", "alphabet"}),
        ("name__contains=LPH", set()),
        ("name__icontains=LPH", {"Alpha", "alphabet"}),
        ("name__startswith=alph", {"alphabet"}),
        ("name__istartswith=alph", {"Alpha", "alphabet"}),
        ("name__endswith=_%25", {"100_%"}),
        ("name__contains=%25", {"100_%"}),
        ("enabled=false", {"off"}),
        ("enabled=0&name=off", {"off"}),
        ("name=off&enabled=true", set()),
        ("nonsense=1&name=off", {"off"}),
    ],
)
def test_lists_are_filtered(tmp_path: Path, query: str, names: set[str]) -> None:
    async def scenario(cloud: Cloud) -> None:
        for kind in ("project", "user"):
            for name in ("Alpha", "alphabet", "100_%"):
                await cloud.make(kind, name=name)
            await cloud.make(kind, name="off", enabled=False)
            found = (await cloud.get(f"/v3/{kind}s?{query}"))[f"{kind}s"]
            assert {each["name"] for each in found} == names

    with_cloud(tmp_path, scenario)


def test_pages_cover_a_list_without_gap_or_repetition(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for number in range(7):
            await cloud.make("user", name=f"user{number}")
        whole = [each["id"] for each in (await cloud.get("/v3/users"))["users"]]
        seen, path = [], "/v3/users?limit=3"
        while path:
            page = await cloud.get(path)
            seen += [each["id"] for each in page["users"]]
            path = (page["links"]["next"] or "").removeprefix(BASE)
            assert page.get("truncated", False) is bool(path)
            assert len(page["users"]) <= 3
        assert seen == whole
        assert (await cloud.ask("GET", "/v3/users?marker=nope")).status == 404
        assert (await cloud.ask("GET", "/v3/users?limit=x")).status == 400
        assert (await cloud.ask("GET", "/v3/users?limit=-1")).status == 400

    with_cloud(tmp_path, scenario)


def test_a_list_links_to_itself_with_its_query(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        links = (await cloud.get("/v3/roles?name=member"))["links"]
        assert links == {"next": None, "previous": None, "self": f"{BASE}/v3/roles?name=member"}

    with_cloud(tmp_path, scenario)


def test_projects_form_a_tree(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        top = await cloud.make("project", name="top")
        middle = await cloud.make("project", name="middle", parent_id=top["id"])
        low = await cloud.make("project", name="low", parent_id=middle["id"])
        assert (top["parent_id"], low["parent_id"]) == ("default", middle["id"])
        path = f"/v3/projects/{middle['id']}"
        shown = (await cloud.get(f"{path}?parents_as_ids&subtree_as_ids"))["project"]
        assert shown["parents"] == {top["id"]: {"default": None}}
        assert shown["subtree"] == {low["id"]: None}
        shown = (await cloud.get(f"{path}?parents_as_list&subtree_as_list"))["project"]
        assert [each["project"]["name"] for each in shown["parents"]] == ["top"]
        assert [each["project"]["name"] for each in shown["subtree"]] == ["low"]
        assert (await cloud.ask("DELETE", path)).status == 403
        off = {"project": {"enabled": False}}
        assert (await cloud.ask("PATCH", path, off)).status == 403
        assert (await cloud.ask("PATCH", f"/v3/projects/{low['id']}", off)).status == 200
        assert (await cloud.ask("PATCH", path, off)).status == 200
        answer = await cloud.ask("PATCH", f"/v3/projects/{low['id']}", {"project": {"enabled": True}})
        assert answer.status == 403
        answer = await cloud.ask("POST", "/v3/projects", {"project": {"name": "x", "parent_id": middle["id"]}})
        assert answer.status == 400
        lowest = top["id"]
        for depth in range(3):
            lowest = (await cloud.make("project", name=f"deep{depth}", parent_id=lowest))["id"]
        answer = await cloud.ask("POST", "/v3/projects", {"project": {"name": "x", "parent_id": lowest}})
        assert answer.status == 403

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"id": "other"}, 400),
        ({"domain_id": "other"}, 400),
        ({"is_domain": True}, 400),
        ({"parent_id": "other"}, 403),
        ({"name": "new", "description": None, "extra_thing": 1}, 200),
        ({}, 200),
    ],
)
def test_what_was_decided_when_a_project_was_made_stays(tmp_path: Path, changes: Any, status: int) -> None:
    async def scenario(cloud: Cloud) -> None:
        project = await cloud.make("project", name="old", description="d")
        answer = await cloud.ask("PATCH", f"/v3/projects/{project['id']}", {"project": changes})
        assert answer.status == status
        if status == 200:
            assert answer.json()["project"] == project | changes

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("facts", [{"domain_id": "nope"}, {"parent_id": "nope"}])
def test_a_project_needs_a_place(tmp_path: Path, facts: dict[str, str]) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("POST", "/v3/projects", {"project": {"name": "x"} | facts})
        assert answer.status == 400
        assert "nope" in answer.json()["error"]["message"]

    with_cloud(tmp_path, scenario)


def test_tags_of_a_project(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        one = await cloud.make("project", name="one", tags=["red", "big"])
        two = await cloud.make("project", name="two", tags=["red"])
        assert sorted(one["tags"]) == ["big", "red"]
        path = f"/v3/projects/{two['id']}/tags"
        assert (await cloud.ask("PUT", f"{path}/small")).status == 201
        assert (await cloud.ask("GET", f"{path}/small")).status == 204
        assert (await cloud.ask("PUT", f"{path}/a,b")).status == 400
        assert (await cloud.get("/v3/projects?tags=red,big"))["projects"][0]["name"] == "one"
        found = (await cloud.get("/v3/projects?tags-any=big,small"))["projects"]
        assert {each["name"] for each in found} == {"one", "two"}
        assert (await cloud.ask("PUT", path, {"tags": ["x"]})).json()["tags"] == ["x"]
        assert (await cloud.ask("DELETE", f"{path}/x")).status == 204
        assert (await cloud.ask("DELETE", f"{path}/x")).status == 404
        assert (await cloud.ask("DELETE", path)).status == 204
        assert (await cloud.get(path))["tags"] == []

    with_cloud(tmp_path, scenario)


def test_a_domain_goes_only_disabled_and_takes_everything_with_it(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        domain = await cloud.make("domain", name="d")
        where = {"domain_id": domain["id"]}
        project = await cloud.make("project", name="p", **where)
        await cloud.make("project", name="below", parent_id=project["id"])
        user = await cloud.make("user", name="u", **where)
        group = await cloud.make("group", name="g", **where)
        role = await cloud.make("role", name="r", **where)
        path = f"/v3/domains/{domain['id']}"
        assert (await cloud.ask("DELETE", path)).status == 403
        assert (await cloud.ask("PATCH", path, {"domain": {"enabled": False}})).status == 200
        assert (await cloud.ask("DELETE", path)).status == 204
        gone = [f"projects/{project['id']}", f"users/{user['id']}", f"groups/{group['id']}", f"roles/{role['id']}"]
        for each in gone:
            assert (await cloud.ask("GET", f"/v3/{each}")).status == 404

    with_cloud(tmp_path, scenario)


def test_the_first_roles_cannot_be_changed_or_deleted(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        path = f"/v3/roles/{await cloud.role_id('admin')}"
        answer = await cloud.ask("PATCH", path, {"role": {"name": "x"}})
        assert answer.status == 403
        assert 'Set resource option "immutable" to false first.' in answer.json()["error"]["message"]
        assert (await cloud.ask("DELETE", path)).status == 403
        assert (await cloud.ask("PATCH", path, {"role": {"options": {"immutable": False}}})).status == 200
        assert (await cloud.ask("PATCH", path, {"role": {"description": "x"}})).status == 200

    with_cloud(tmp_path, scenario)


def test_roles_imply_others_but_never_admin(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        role = await cloud.make("role", name="lead")
        _, _, token = await cloud.member("ann", role="lead")
        path = f"/v3/roles/{role['id']}/implies/{await cloud.role_id('member')}"
        assert (await cloud.ask("HEAD", path)).status == 404
        answer = await cloud.ask("PUT", path)
        assert answer.status == 201
        assert answer.json()["role_inference"]["implies"]["name"] == "member"
        assert (await cloud.ask("HEAD", path)).status == 204
        roles = (await cloud.validate(token)).json()["token"]["roles"]
        assert {each["name"] for each in roles} == {"lead", "member", "reader"}
        for forbidden in ("admin", "service"):
            answer = await cloud.ask("PUT", f"/v3/roles/{role['id']}/implies/{await cloud.role_id(forbidden)}")
            assert answer.status == 403
        assert (await cloud.ask("DELETE", path)).status == 204
        assert (await cloud.ask("DELETE", path)).status == 404

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("actor", ["user", "group"])
@pytest.mark.parametrize("target", ["project", "domain", "system", "inherited"])
def test_roles_are_given_checked_listed_and_taken(tmp_path: Path, actor: str, target: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        who = await cloud.make(actor, name="who")
        kind = {"inherited": "domain"}.get(target, target)
        where = "system" if kind == "system" else f"{kind}s/{(await cloud.make(kind, name='where'))['id']}"
        base = f"/v3/{'OS-INHERIT/' if target == 'inherited' else ''}{where}/{actor}s/{who['id']}/roles"
        after = "/inherited_to_projects" if target == "inherited" else ""
        role = await cloud.role_id("member")
        one, every = f"{base}/{role}{after}", f"{base}{after}"
        assert (await cloud.ask("HEAD", one)).status == 404
        assert (await cloud.ask("DELETE", one)).status == 404
        for _ in range(2):
            assert (await cloud.ask("PUT", one)).status == 204
        for method in ("HEAD", "GET"):
            assert (await cloud.ask(method, one)).status == 204
        assert [each["name"] for each in (await cloud.get(every))["roles"]] == ["member"]
        listed = (await cloud.get(f"/v3/role_assignments?{actor}.id={who['id']}"))["role_assignments"]
        assert [each["links"]["assignment"] for each in listed] == [BASE + one]
        assert (await cloud.ask("DELETE", one)).status == 204
        assert (await cloud.get(every))["roles"] == []
        for broken in (one.replace(role, "nope"), one.replace(who["id"], "nope")):
            assert (await cloud.ask("PUT", broken)).status == 404

    with_cloud(tmp_path, scenario)


def test_assignments_are_listed_as_they_work_out_with_names(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, _ = await cloud.member("ann", role="member")
        group = await cloud.make("group", name="crew")
        await cloud.ask("PUT", f"/v3/groups/{group['id']}/users/{user['id']}")
        manager = await cloud.role_id("manager")
        await cloud.ask("PUT", f"/v3/projects/{project['id']}/groups/{group['id']}/roles/{manager}")
        query = f"/v3/role_assignments?effective&include_names&user.id={user['id']}&scope.project.id={project['id']}"
        found = (await cloud.get(query))["role_assignments"]
        assert {(each["role"]["name"], "membership" in each["links"]) for each in found} == {
            ("member", False), ("reader", False), ("manager", True), ("member", True), ("reader", True),
        }  # fmt: skip
        assert all(
            each["user"] == {"id": user["id"], "name": "ann", "domain": {"id": "default", "name": "Default"}}
            for each in found
        )
        assert all(each["scope"]["project"]["name"] == "ann-project" for each in found)
        by_role = (await cloud.get(f"{query}&role.id={manager}"))["role_assignments"]
        assert [each["role"]["name"] for each in by_role] == ["manager"]
        plain = (await cloud.get(f"/v3/role_assignments?scope.project.id={project['id']}&include_names"))[
            "role_assignments"
        ]
        assert {each["role"]["name"] for each in plain} == {"member", "manager"}
        system = (await cloud.get("/v3/role_assignments?scope.system=all&include_names"))["role_assignments"]
        assert [(each["user"]["name"], each["scope"]) for each in system] == [("admin", {"system": {"all": True}})]

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    "query",
    [
        "scope.project.id=x&scope.domain.id=y",
        "user.id=x&group.id=y",
        "effective&group.id=x",
        "effective&scope.domain.id=x&scope.OS-INHERIT:inherited_to=projects",
        "include_subtree",
    ],
)
def test_filters_that_contradict_are_refused(tmp_path: Path, query: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        assert (await cloud.ask("GET", f"/v3/role_assignments?{query}")).status == 400

    with_cloud(tmp_path, scenario)


def test_a_role_on_a_subtree_is_listed_with_it(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        top = await cloud.make("project", name="top")
        low = await cloud.make("project", name="low", parent_id=top["id"])
        user = await cloud.make("user", name="ann")
        await cloud.grant(user["id"], low["id"], "member")
        base = f"/v3/role_assignments?scope.project.id={top['id']}"
        assert (await cloud.get(base))["role_assignments"] == []
        found = (await cloud.get(f"{base}&include_subtree"))["role_assignments"]
        assert [each["scope"]["project"]["id"] for each in found] == [low["id"]]

    with_cloud(tmp_path, scenario)


def test_a_role_inherited_from_a_parent_project_counts_below(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        top = await cloud.make("project", name="top")
        middle = await cloud.make("project", name="middle", parent_id=top["id"])
        low = await cloud.make("project", name="low", parent_id=middle["id"])
        user = await cloud.make("user", name="ann", password="x")
        role = await cloud.role_id("member")
        path = f"/v3/OS-INHERIT/projects/{top['id']}/users/{user['id']}/roles/{role}/inherited_to_projects"
        assert (await cloud.ask("PUT", path)).status == 204
        for project, status in ((low, 201), (middle, 201), (top, 401)):
            assert (await cloud.log_in("ann", "x", {"project": {"id": project["id"]}})).status == status
        own = await cloud.token("ann", "x")
        found = (await cloud.get("/v3/auth/projects", own))["projects"]
        assert {each["name"] for each in found} == {"middle", "low"}

    with_cloud(tmp_path, scenario)


def test_one_sees_the_projects_one_can_log_in_to(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        project, user, token = await cloud.member("ann")
        off = await cloud.make("project", name="off")
        await cloud.grant(user["id"], off["id"], "member")
        await cloud.ask("PATCH", f"/v3/projects/{off['id']}", {"project": {"enabled": False}})
        found = (await cloud.get("/v3/auth/projects", token))["projects"]
        assert [each["id"] for each in found] == [project["id"]]
        every = (await cloud.get(f"/v3/users/{user['id']}/projects", token))["projects"]
        assert {each["id"] for each in every} == {project["id"], off["id"]}
        _, other, _ = await cloud.member("bob")
        assert (await cloud.ask("GET", f"/v3/users/{other['id']}/projects", token=token)).status == 403

    with_cloud(tmp_path, scenario)


def test_a_domains_manager_rules_there_and_nowhere_else(tmp_path: Path) -> None:
    """OSSN-0103: what a caller may list or change follows the token's domain, not a filter the caller sends."""

    async def scenario(cloud: Cloud) -> None:
        domain = await cloud.make("domain", name="d")
        boss = await cloud.make("user", name="boss", password="x", domain_id=domain["id"])
        await cloud.ask("PUT", f"/v3/domains/{domain['id']}/users/{boss['id']}/roles/{await cloud.role_id('manager')}")
        token = await cloud.token("boss", "x", {"domain": {"id": domain["id"]}}, domain=domain["id"])
        for query in ("", "?domain_id=default", f"?domain_id={domain['id']}"):
            found = (await cloud.get(f"/v3/users{query}", token))["users"]
            assert {each["name"] for each in found} <= {"boss"}
        for kind in ("user", "project", "group"):
            mine = {kind: {"name": "new"}}
            answer = await cloud.ask("POST", f"/v3/{kind}s", mine, token=token)
            assert (answer.status, answer.json()[kind]["domain_id"]) == (201, domain["id"])
            theirs = {kind: {"name": "new2", "domain_id": "default"}}
            assert (await cloud.ask("POST", f"/v3/{kind}s", theirs, token=token)).status == 403
        project = (await cloud.get("/v3/projects?name=new", token))["projects"][0]
        user = (await cloud.get("/v3/users?name=new", token))["users"][0]
        base = f"/v3/projects/{project['id']}/users/{user['id']}/roles"
        assert (await cloud.ask("PUT", f"{base}/{await cloud.role_id('member')}", token=token)).status == 204
        assert (await cloud.ask("PUT", f"{base}/{await cloud.role_id('admin')}", token=token)).status == 403
        outside = await cloud.make("project", name="outside")
        path = f"/v3/projects/{outside['id']}/users/{user['id']}/roles/{await cloud.role_id('member')}"
        assert (await cloud.ask("PUT", path, token=token)).status == 403
        assert (await cloud.ask("GET", f"/v3/projects/{outside['id']}", token=token)).status == 403
        assert [each["id"] for each in (await cloud.get("/v3/domains", token))["domains"]] == [domain["id"]]

    with_cloud(tmp_path, scenario)


def test_a_system_reader_sees_everything_and_changes_nothing(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        user = await cloud.make("user", name="auditor", password="x")
        await cloud.ask("PUT", f"/v3/system/users/{user['id']}/roles/{await cloud.role_id('reader')}")
        token = await cloud.token("auditor", "x", {"system": {"all": True}})
        for kind in ("users", "projects", "domains", "roles", "groups", "services", "endpoints", "role_assignments"):
            assert (await cloud.ask("GET", f"/v3/{kind}", token=token)).status == 200
        for kind in ("user", "project", "domain", "role", "group"):
            assert (await cloud.ask("POST", f"/v3/{kind}s", {kind: {"name": "x"}}, token=token)).status == 403

    with_cloud(tmp_path, scenario)


def test_a_new_endpoint_shows_in_the_next_catalog_and_no_stale_one_is_given(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        service = await cloud.make("service", type="dns", name="designate", description="names")
        assert service["description"] == "names"
        facts = {"interface": "public", "service_id": service["id"], "region": "RegionTwo"}
        endpoint = await cloud.make("endpoint", url="http://dns/$(tenant_id)s", **facts)
        assert endpoint["region_id"] == "RegionTwo"
        assert (await cloud.get("/v3/regions/RegionTwo"))["region"]["id"] == "RegionTwo"
        project = (await cloud.validate(cloud.admin)).json()["token"]["project"]["id"]

        async def urls() -> list[str]:
            catalog = (await cloud.get("/v3/auth/catalog"))["catalog"]
            return [e["url"] for each in catalog if each["type"] == "dns" for e in each["endpoints"]]

        assert await urls() == [f"http://dns/{project}"]
        path = f"/v3/endpoints/{endpoint['id']}"
        assert (await cloud.ask("PATCH", path, {"endpoint": {"url": "http://dns2"}})).status == 200
        assert await urls() == ["http://dns2"]
        assert (await cloud.ask("PATCH", path, {"endpoint": {"enabled": False}})).status == 200
        assert await urls() == []
        assert (await cloud.ask("DELETE", "/v3/regions/RegionTwo")).status == 403
        assert (await cloud.ask("DELETE", f"/v3/services/{service['id']}")).status == 204
        assert (await cloud.ask("GET", path)).status == 404
        assert (await cloud.ask("DELETE", "/v3/regions/RegionTwo")).status == 204

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"service_id": "nope"}, "service_id in service table"),
        ({"region_id": "nope"}, "region_id in region table"),
        ({"interface": "back"}, "interface"),
        ({"url": "/compute"}, "url"),
        ({"url": "http://x/%(nonsense)s"}, "invalid URL"),
    ],
)
def test_an_endpoint_that_leads_nowhere_is_refused(tmp_path: Path, facts: dict[str, str], complaint: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        service = await cloud.make("service", type="dns")
        good = {"interface": "public", "url": "http://x", "service_id": service["id"]}
        answer = await cloud.ask("POST", "/v3/endpoints", {"endpoint": good | facts})
        assert answer.status == 400
        assert complaint in answer.json()["error"]["message"]

    with_cloud(tmp_path, scenario)


def test_regions_may_lie_within_each_other_but_not_in_a_circle(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        await cloud.make("region", id="north")
        await cloud.make("region", id="north-1", parent_region_id="north")
        found = (await cloud.get("/v3/regions?parent_region_id=north"))["regions"]
        assert [each["id"] for each in found] == ["north-1"]
        answer = await cloud.ask("PATCH", "/v3/regions/north", {"region": {"parent_region_id": "north-1"}})
        assert answer.status == 400
        assert (await cloud.ask("POST", "/v3/regions", {"region": {"id": "north"}})).status == 409
        assert (await cloud.ask("PUT", "/v3/regions/south", {"region": {}})).status == 201
        assert (await cloud.ask("DELETE", "/v3/regions/north")).status == 403

    with_cloud(tmp_path, scenario)


def test_groups_hold_users(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        group = await cloud.make("group", name="crew", description="d")
        user = await cloud.make("user", name="ann")
        path = f"/v3/groups/{group['id']}/users/{user['id']}"
        assert (await cloud.ask("HEAD", path)).status == 404
        assert (await cloud.ask("PUT", path)).status == 204
        assert (await cloud.ask("HEAD", path)).status == 204
        assert [each["id"] for each in (await cloud.get(f"/v3/groups/{group['id']}/users"))["users"]] == [user["id"]]
        found = (await cloud.get(f"/v3/users/{user['id']}/groups"))["groups"]
        assert found[0]["id"] == group["id"] and found[0]["membership_expires_at"] is None
        assert (await cloud.ask("DELETE", path)).status == 204
        assert (await cloud.ask("DELETE", path)).status == 404
        assert (await cloud.ask("PUT", path.replace(user["id"], "nope"))).status == 404

    with_cloud(tmp_path, scenario)


def test_a_system_token_of_the_administrator_rules_too(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        token = await cloud.token("admin", ADMIN_PASSWORD, {"system": {"all": True}})
        answer = await cloud.ask("POST", "/v3/domains", {"domain": {"name": "d"}}, token=token)
        assert answer.status == 201
        assert (await cloud.get("/v3/auth/system", token))["system"] == [{"all": True}]
        assert await cloud.token("admin", ADMIN_PASSWORD, in_project("admin"))

    with_cloud(tmp_path, scenario)


def test_a_domains_own_role_stays_in_its_domain(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        here, there = await cloud.make("domain", name="here"), await cloud.make("domain", name="there")
        own = await cloud.make("role", name="lead", domain_id=here["id"])
        member = await cloud.role_id("member")
        inside = await cloud.make("project", name="inside", domain_id=here["id"])
        outside = await cloud.make("project", name="outside", domain_id=there["id"])
        user = await cloud.make("user", name="ann", password="x", domain_id=here["id"])
        assert (await cloud.ask("PUT", f"/v3/roles/{member}/implies/{own['id']}")).status == 403
        assert (await cloud.ask("PUT", f"/v3/roles/{own['id']}/implies/{member}")).status == 201
        who = f"users/{user['id']}/roles/{own['id']}"
        for where, status in (
            (f"projects/{inside['id']}", 204), (f"projects/{outside['id']}", 403), (f"domains/{here['id']}", 204),
            (f"domains/{there['id']}", 403), ("system", 400),
        ):  # fmt: skip
            assert (await cloud.ask("PUT", f"/v3/{where}/{who}")).status == status
        token = (await cloud.log_in("ann", "x", {"project": {"id": inside["id"]}}, domain=here["id"])).json()["token"]
        assert {role["name"] for role in token["roles"]} == {"member", "reader"}
        assert [each["name"] for each in (await cloud.get(f"/v3/roles?domain_id={here['id']}"))["roles"]] == ["lead"]
        assert "lead" not in {each["name"] for each in (await cloud.get("/v3/roles"))["roles"]}

    with_cloud(tmp_path, scenario)
