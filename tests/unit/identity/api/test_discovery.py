from pathlib import Path

from pileus.identity.api.discovery import RELATIONS
from pileus.identity.api.policy import RULES
from pileus.identity.api.routes import ROUTES
from pileus.identity.api.schemas import PROJECT_CREATE
from tests.unit.identity.cloud import BASE, Cloud, with_cloud


def test_versions_are_told_without_a_token_as_300_with_values(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("GET", "/", token="")
        assert answer.status == 300
        assert answer.headers["location"] == f"{BASE}/v3/"
        version = answer.json()["versions"]["values"][0]
        assert (version["id"], version["status"]) == ("v3.14", "stable")
        assert version["links"] == [{"rel": "self", "href": f"{BASE}/v3/"}]
        for path in ("/v3", "/v3/"):
            answer = await cloud.ask("GET", path, token="")
            assert (answer.status, answer.json()) == (200, {"version": version})

    with_cloud(tmp_path, scenario)


def test_json_home_is_given_to_who_asks_for_it(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("GET", "/v3", token="", accept="application/json-home")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json-home")
        rel = "https://docs.openstack.org/api/openstack-identity/3"
        resources = answer.json()["resources"]
        assert resources[f"{rel}/rel/auth_tokens"] == {"href": "/auth/tokens"}
        assert resources[f"{rel}/rel/user"] == {
            "href-template": "/users/{user_id}",
            "href-vars": {"user_id": f"{rel}/param/user_id"},
        }
        root = await cloud.ask("GET", "/", token="", accept="application/json-home")
        assert root.json()["resources"][f"{rel}/rel/auth_tokens"] == {"href": "/v3/auth/tokens"}
        mixed = await cloud.ask("GET", "/v3", token="", accept="application/json, application/json-home;q=0.5")
        assert mixed.headers["content-type"] == "application/json"

    with_cloud(tmp_path, scenario)


def test_every_resource_of_json_home_is_a_route() -> None:
    paths = {route.path for route in ROUTES}
    assert {f"/v3{path}" for path in RELATIONS.values()} <= paths


def test_every_route_has_a_rule_that_exists_and_an_operation_of_its_own() -> None:
    known = {rule.name for rule in RULES}
    assert not [route for route in ROUTES if route.policy and route.policy not in known]
    operations = [route.op for route in ROUTES if route.path != "/v3/"]
    assert len(operations) == len(set(operations))


def test_a_name_of_only_spaces_is_none() -> None:
    schema = PROJECT_CREATE.json_schema()["properties"]["project"]["properties"]["name"]
    assert (schema["minLength"], schema["maxLength"], schema["pattern"]) == (1, 64, r"\S")
