"""What identity says of itself to whoever asks, without a token: its version, and where things are."""

from typing import Any

from pileus.foundation.http.request import Request, Response, answer, encode_json

VERSION = "v3.14"
_REL = "https://docs.openstack.org/api/openstack-identity/3"
_PARAMETERS = {"tag": "tag_value", "prior_role_id": "role_id", "implied_role_id": "role_id"}

RELATIONS = {
    "auth_projects": "/auth/projects",
    "auth_domains": "/auth/domains",
    "auth_system": "/auth/system",
    "auth_catalog": "/auth/catalog",
    "auth_tokens": "/auth/tokens",
    "credentials": "/credentials",
    "credential": "/credentials/{credential_id}",
    "domains": "/domains",
    "domain": "/domains/{domain_id}",
    "domain_user_roles": "/domains/{domain_id}/users/{user_id}/roles",
    "domain_user_role": "/domains/{domain_id}/users/{user_id}/roles/{role_id}",
    "domain_group_roles": "/domains/{domain_id}/groups/{group_id}/roles",
    "domain_group_role": "/domains/{domain_id}/groups/{group_id}/roles/{role_id}",
    "endpoints": "/endpoints",
    "endpoint": "/endpoints/{endpoint_id}",
    "groups": "/groups",
    "group": "/groups/{group_id}",
    "group_users": "/groups/{group_id}/users",
    "group_user": "/groups/{group_id}/users/{user_id}",
    "projects": "/projects",
    "project": "/projects/{project_id}",
    "project_tags": "/projects/{project_id}/tags/{tag}",
    "project_user_role": "/projects/{project_id}/users/{user_id}/roles/{role_id}",
    "project_user_roles": "/projects/{project_id}/users/{user_id}/roles",
    "project_group_role": "/projects/{project_id}/groups/{group_id}/roles/{role_id}",
    "project_group_roles": "/projects/{project_id}/groups/{group_id}/roles",
    "regions": "/regions",
    "region": "/regions/{region_id}",
    "role_assignments": "/role_assignments",
    "role_inferences": "/role_inferences",
    "roles": "/roles",
    "role": "/roles/{role_id}",
    "implied_roles": "/roles/{prior_role_id}/implies",
    "implied_role": "/roles/{prior_role_id}/implies/{implied_role_id}",
    "services": "/services",
    "service": "/services/{service_id}",
    "system_user_roles": "/system/users/{user_id}/roles",
    "system_user_role": "/system/users/{user_id}/roles/{role_id}",
    "system_group_roles": "/system/groups/{group_id}/roles",
    "system_group_role": "/system/groups/{group_id}/roles/{role_id}",
    "users": "/users",
    "user": "/users/{user_id}",
    "user_change_password": "/users/{user_id}/password",
    "user_groups": "/users/{user_id}/groups",
    "user_projects": "/users/{user_id}/projects",
    "application_credentials": "/users/{user_id}/application_credentials",
    "application_credential": "/users/{user_id}/application_credentials/{application_credential_id}",
    "access_rules": "/users/{user_id}/access_rules",
    "access_rule": "/users/{user_id}/access_rules/{access_rule_id}",
}
"""The names of resources in a JSON home document; every path is one of our routes (a test compares)."""


def _home() -> dict[str, Any]:
    resources: dict[str, Any] = {}
    for name, path in RELATIONS.items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if names:
            variables = {each: f"{_REL}/param/{_PARAMETERS.get(each, each)}" for each in names}
            resources[f"{_REL}/rel/{name}"] = {"href-template": path, "href-vars": variables}
        else:
            resources[f"{_REL}/rel/{name}"] = {"href": path}
    return {"resources": resources}


def _version(request: Request[Any]) -> dict[str, Any]:
    return {
        "id": VERSION,
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": request.href("/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _wants_home(request: Request[Any]) -> bool:
    """Whether a JSON home document is what the client likes best.

    Source: conventions of the Identity API; the media type is only used when it is asked for by name.
    """
    best, media = -1.0, ""
    for part in request.headers.get("accept", "").split(","):
        name, _, parameters = part.strip().partition(";")
        quality = _quality(parameters)
        if quality > best and name.strip() in ("application/json", "application/json-home", "*/*"):
            best, media = quality, name.strip()
    return media == "application/json-home"


def _quality(parameters: str) -> float:
    key, _, value = parameters.strip().partition("=")
    if key != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _home_answer() -> Response:
    return Response(200, encode_json(_home()), content_type="application/json-home")


async def list_versions(request: Request[Any]) -> Response:
    if _wants_home(request):
        home = _home()
        prefixed = {name: _under_v3(resource) for name, resource in home["resources"].items()}
        return Response(300, encode_json({"resources": prefixed}), content_type="application/json-home")
    document = {"versions": {"values": [_version(request)]}}
    return answer(document, 300, [("location", request.href("/v3/"))])


def _under_v3(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: f"/v3{value}" if key in ("href", "href-template") else value for key, value in resource.items()}


async def show_version(request: Request[Any]) -> Response:
    return _home_answer() if _wants_home(request) else answer({"version": _version(request)})
