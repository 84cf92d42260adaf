"""Refusals in identity's words: 400 with the field named, 401, 403, 404, 405, 409, 413, 415."""

from pathlib import Path
from typing import Any

import pytest

from pileus.identity.api.routes import ROUTES
from tests.unit.identity.cloud import Cloud, with_cloud

CREATES = {
    "project": {"name": "x"},
    "domain": {"name": "x"},
    "user": {"name": "x"},
    "group": {"name": "x"},
    "role": {"name": "x"},
    "service": {"type": "x"},
}


def _path(path: str) -> str:
    return "/".join("nope" if part.startswith("{") else part for part in path.split("/"))


def test_every_guarded_route_refuses_who_has_no_token(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for route in ROUTES:
            if route.policy is None:
                continue
            answer = await cloud.ask(route.method, _path(route.path), token="")
            assert answer.status == 401, route
            assert route.method == "HEAD" or answer.json()["error"]["code"] == 401
            assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test:8800/identity/v3"'

    with_cloud(tmp_path, scenario)


ANYBODYS = {
    "/v3/auth/catalog", "/v3/auth/projects", "/v3/auth/domains", "/v3/auth/system", "/v3/OS-FEDERATION/projects",
    "/v3/OS-FEDERATION/domains",
    "/v3/credentials",
}  # fmt: skip


def test_a_member_may_do_nothing_to_others_and_learns_nothing_of_them(tmp_path: Path) -> None:
    """Every route with a member's token: what is not there and what is another's look alike, 403."""

    async def scenario(cloud: Cloud) -> None:
        other_project, other, _ = await cloud.member("other")
        _, _, token = await cloud.member("ann")
        group = await cloud.make("group", name="g")
        ids = {
            "project_id": other_project["id"], "user_id": other["id"], "group_id": group["id"],
            "role_id": await cloud.role_id("member"), "domain_id": (await cloud.make("domain", name="d"))["id"],
        }  # fmt: skip
        bodies = {f"/v3/{kind}s": {kind: facts} for kind, facts in CREATES.items()}
        for route in ROUTES:
            if route.policy is None or route.path in ANYBODYS or "/auth/" in route.path or "region" in route.path:
                continue
            for known in (True, False):
                path = route.path
                for name, value in ids.items():
                    path = path.replace(f"{{{name}}}", value if known else "nope")
                body = bodies.get(route.path) or _some_body(route)
                answer = await cloud.ask(route.method, _path(path), body, token=token)
                assert answer.status == 403, (route.method, path, answer.status, answer.body)

    with_cloud(tmp_path, scenario)


def _some_body(route: Any) -> Any:
    if route.body is None:
        return None
    if route.path.endswith("/tags"):
        return {"tags": []}
    if "endpoint" in route.path:
        return {"endpoint": {"interface": "public", "url": "http://x", "service_id": "s"}}
    if "application_credentials" in route.path:
        return {"application_credential": {"name": "x"}}
    if route.path.endswith("/OS-EC2"):
        return {"tenant_id": "x"}
    if "credentials" in route.path:
        return {"credential": {"blob": "x"}}
    kind = route.body.envelope
    return {kind: {} if route.method == "PATCH" else CREATES[kind]}


@pytest.mark.parametrize("kind", CREATES)
def test_a_body_that_does_not_fit_is_refused_with_the_field_named(tmp_path: Path, kind: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        path, good = f"/v3/{kind}s", CREATES[kind]
        needed = next(iter(good))
        cases: list[tuple[Any, str]] = [
            ({kind: {}}, f"'{needed}' is a required property"),
            ({kind: good | {needed: 5}}, f"field/attribute {needed}"),
            ({kind: good | {needed: "x" * 256}}, "too long"),
            ({kind: good | {needed: "a\x00b"}}, "NUL"),
            ({kind: []}, f"field/attribute {kind}"),
            ({}, f"'{kind}' is a required property"),
        ]
        if kind not in ("group", "role"):
            cases.append(({kind: good | {"enabled": "perhaps"}}, "field/attribute enabled"))
            cases.append(({kind: good | {"enabled": 1}}, "field/attribute enabled"))
        for body, complaint in cases:
            answer = await cloud.ask("POST", path, body)
            assert answer.status == 400, (body, answer.body)
            assert complaint in answer.json()["error"]["message"], answer.body
            assert answer.json()["error"]["title"] == "Bad Request"

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    ("raw", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b"x", "application/json", 400),
        (b'{"user": {"name": "\xff"}}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"<user/>", "application/xml", 415),
        (b'{"user": {"name": "' + b"x" * 300_000 + b'"}}', "application/json", 413),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, raw: bytes, media: str, status: int) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("POST", "/v3/users", raw, content_type=media)
        assert answer.status == status
        assert answer.json()["error"]["code"] == status

    with_cloud(tmp_path, scenario)


def test_a_body_that_is_not_json_is_told_in_the_known_words(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("POST", "/v3/auth/tokens", b"x", token="")
        assert answer.json()["error"]["message"].startswith("Expecting to find valid JSON in request body.")

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize(
    "path",
    [
        "/v3/users/{}", "/v3/projects/{}", "/v3/domains/{}", "/v3/roles/{}", "/v3/groups/{}", "/v3/services/{}",
        "/v3/endpoints/{}", "/v3/regions/{}",
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_404(tmp_path: Path, path: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        noun = path.split("/")[2][:-1]
        for id in ("nope", "%27%22;--", "ünïcödé", "a" * 300):
            for method in ("GET", "PATCH", "DELETE"):
                body = {noun: {}} if method == "PATCH" else None
                answer = await cloud.ask(method, path.format(id), body)
                assert answer.status == 404, (method, id, answer.body)
            answer = await cloud.ask("GET", path.format(id))
            assert answer.json()["error"] == {
                "code": 404, "message": f"Could not find {noun}: {id}.", "title": "Not Found",
            }  # fmt: skip

    with_cloud(tmp_path, scenario)


def test_no_route_and_no_such_method(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        answer = await cloud.ask("GET", "/v3/nosuch")
        assert answer.status == 404
        assert answer.headers["content-type"].startswith("text/html")
        answer = await cloud.ask("PUT", "/v3/users", {})
        assert answer.status == 405
        assert answer.json() == {"message": "The method is not allowed for the requested URL."}
        assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))

    with_cloud(tmp_path, scenario)


def test_a_refusal_by_policy_names_the_rule(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, _, token = await cloud.member("ann")
        answer = await cloud.ask("GET", "/v3/users", token=token)
        assert answer.json()["error"] == {
            "code": 403,
            "message": "You are not authorized to perform the requested action: identity:list_users.",
            "title": "Forbidden",
        }

    with_cloud(tmp_path, scenario)


def test_forged_identity_headers_have_no_effect(tmp_path: Path) -> None:
    """OSSA-2026-001: headers that a middleware would set are only words when a client sends them."""

    async def scenario(cloud: Cloud) -> None:
        _, _, token = await cloud.member("ann")
        forged = {
            "x_roles": "admin", "x_user_id": "someone", "x_is_admin_project": "True", "x_project_id": "p",
            "x_identity_status": "Confirmed", "x_service_roles": "service", "x_service_identity_status": "Confirmed",
        }  # fmt: skip
        assert (await cloud.ask("GET", "/v3/users", token=token, **forged)).status == 403
        assert (await cloud.ask("GET", "/v3/users", token="", **forged)).status == 401
        assert "x-pileus-epoch" not in (await cloud.validate(token, token, **forged)).headers

    with_cloud(tmp_path, scenario)


def test_a_bad_service_token_beside_a_good_one_is_refused(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        assert (await cloud.ask("GET", "/v3/users", x_service_token="nonsense")).status == 401

    with_cloud(tmp_path, scenario)


def test_head_is_answered_wherever_get_is(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        for path in ("/v3", "/v3/users", "/v3/projects", "/v3/roles", "/v3/auth/catalog", "/v3/regions/RegionOne"):
            got, headed = await cloud.ask("GET", path), await cloud.ask("HEAD", path)
            assert (headed.status, headed.body) == (got.status, b"")
            assert headed.headers["content-length"] == got.headers["content-length"]
        answer = await cloud.ask("HEAD", "/v3/auth/tokens", x_subject_token=cloud.admin)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["x-subject-token"] == cloud.admin

    with_cloud(tmp_path, scenario)


@pytest.mark.parametrize("subject", ["", "nonsense"])
def test_a_token_that_is_none_is_not_found(tmp_path: Path, subject: str) -> None:
    async def scenario(cloud: Cloud) -> None:
        for method in ("GET", "HEAD", "DELETE"):
            answer = await cloud.ask(method, "/v3/auth/tokens", x_subject_token=subject)
            assert answer.status == 404
        if not subject:
            message = (await cloud.validate(subject)).json()["error"]["message"]
            assert message == "No token in the request"

    with_cloud(tmp_path, scenario)


def test_only_its_owner_an_administrator_or_a_service_may_look_at_a_token(tmp_path: Path) -> None:
    async def scenario(cloud: Cloud) -> None:
        _, _, ann = await cloud.member("ann")
        _, _, bob = await cloud.member("bob")
        service = await cloud.service_token()
        for asker, status in ((ann, 200), (cloud.admin, 200), (service, 200), (bob, 403)):
            assert (await cloud.validate(ann, asker)).status == status
        for asker, status in ((bob, 403), (service, 403), (ann, 204)):
            answer = await cloud.ask("DELETE", "/v3/auth/tokens", token=asker, x_subject_token=ann)
            assert answer.status == status

    with_cloud(tmp_path, scenario)
