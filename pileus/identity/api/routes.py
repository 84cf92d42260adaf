"""Identity's operations as one table: method, path, handler, policy rule, body."""

from pileus.foundation.http.app import Api
from pileus.foundation.http.hosts import with_users_rights
from pileus.foundation.http.route import Handler, Route
from pileus.foundation.http.schema import Body
from pileus.identity.api import (
    application_credentials,
    catalog,
    credentials,
    discovery,
    grants,
    projects,
    role_assignments,
    roles,
    schemas,
    tokens,
    users,
)
from pileus.identity.api.auth_schema import LOGIN
from pileus.identity.api.dress import dress

EARLY, LATE = False, True
"""When policy is asked: at the door, or by the handler once it knows whom and what a request is about."""


def _route(
    method: str,
    path: str,
    handler: Handler,
    rule: str | None,
    when: bool = EARLY,
    *,
    body: Body | None = None,
    success: int = 200,
) -> Route:
    return Route(
        method,
        path,
        handler,
        policy=None if rule is None else f"identity:{rule}",
        op=operation(method, path),
        success=success,
        body=body,
        late=when,
    )


def operation(method: str, path: str) -> str:
    """The row of the API reference: `identity:get:users/*`."""
    parts = ["*" if part.startswith("{") else part for part in path.split("/")]
    where = "/".join(parts[2:] if parts[1] == "v3" and len(parts) > 2 else parts[1:])
    return f"identity:{method.lower()}:{where or ('v3' if parts[1] == 'v3' else '')}"


_DISCOVERY = (
    _route("GET", "/", discovery.list_versions, None, success=300),
    _route("GET", "/v3", discovery.show_version, None),
    _route("GET", "/v3/", discovery.show_version, None),
)

_TOKENS = (
    _route("POST", "/v3/auth/tokens", tokens.issue_token, None, body=LOGIN, success=201),
    _route("GET", "/v3/auth/tokens", tokens.show_token, "validate_token", LATE),
    _route("HEAD", "/v3/auth/tokens", tokens.check_token, "check_token", LATE),
    _route("DELETE", "/v3/auth/tokens", tokens.revoke_token, "revoke_token", LATE, success=204),
    _route("GET", "/v3/auth/catalog", tokens.show_catalog, "get_auth_catalog"),
    _route("GET", "/v3/auth/projects", tokens.list_auth_projects, "get_auth_projects"),
    _route("GET", "/v3/auth/domains", tokens.list_auth_domains, "get_auth_domains"),
    _route("GET", "/v3/auth/system", tokens.list_auth_system, "get_auth_system"),
    _route("GET", "/v3/OS-FEDERATION/projects", tokens.list_auth_projects, "get_auth_projects"),
    _route("GET", "/v3/OS-FEDERATION/domains", tokens.list_auth_domains, "get_auth_domains"),
)

_PROJECT, _TAG = "/v3/projects/{project_id}", "/v3/projects/{project_id}/tags/{tag}"
_PROJECTS = (
    _route("GET", "/v3/projects", projects.list_projects, "list_projects", LATE),
    _route(
        "POST", "/v3/projects", projects.create_project, "create_project", LATE,
        body=schemas.PROJECT_CREATE, success=201,
    ),
    _route("GET", _PROJECT, projects.show_project, "get_project", LATE),
    _route("PATCH", _PROJECT, projects.update_project, "update_project", LATE, body=schemas.PROJECT_UPDATE),
    _route("DELETE", _PROJECT, projects.delete_project, "delete_project", LATE, success=204),
    _route("GET", f"{_PROJECT}/tags", projects.list_tags, "list_project_tags", LATE),
    _route("PUT", f"{_PROJECT}/tags", projects.replace_tags, "update_project_tags", LATE, body=schemas.TAGS),
    _route("DELETE", f"{_PROJECT}/tags", projects.delete_tags, "delete_project_tags", LATE, success=204),
    _route("GET", _TAG, projects.check_tag, "get_project_tag", LATE, success=204),
    _route("PUT", _TAG, projects.add_tag, "create_project_tag", LATE, success=201),
    _route("DELETE", _TAG, projects.drop_tag, "delete_project_tag", LATE, success=204),
    _route("GET", "/v3/domains", projects.list_domains, "list_domains", LATE),
    _route(
        "POST", "/v3/domains", projects.create_domain, "create_domain", body=schemas.DOMAIN_CREATE, success=201
    ),
    _route("GET", "/v3/domains/{domain_id}", projects.show_domain, "get_domain", LATE),
    _route(
        "PATCH", "/v3/domains/{domain_id}", projects.update_domain, "update_domain", LATE, body=schemas.DOMAIN_UPDATE
    ),
    _route("DELETE", "/v3/domains/{domain_id}", projects.delete_domain, "delete_domain", LATE, success=204),
)  # fmt: skip

_USER, _GROUP, _MEMBER = "/v3/users/{user_id}", "/v3/groups/{group_id}", "/v3/groups/{group_id}/users/{user_id}"
_USERS = (
    _route("GET", "/v3/users", users.list_users, "list_users", LATE),
    _route("POST", "/v3/users", users.create_user, "create_user", LATE, body=schemas.USER_CREATE, success=201),
    _route("GET", _USER, users.show_user, "get_user", LATE),
    _route("PATCH", _USER, users.update_user, "update_user", LATE, body=schemas.USER_UPDATE),
    _route("DELETE", _USER, users.delete_user, "delete_user", LATE, success=204),
    _route("POST", f"{_USER}/password", users.change_password, None, body=schemas.PASSWORD, success=204),
    _route("GET", f"{_USER}/groups", users.list_user_groups, "list_groups_for_user", LATE),
    _route("GET", f"{_USER}/projects", projects.list_user_projects, "list_user_projects", LATE),
    _route("GET", "/v3/groups", users.list_groups, "list_groups", LATE),
    _route("POST", "/v3/groups", users.create_group, "create_group", LATE, body=schemas.GROUP_CREATE, success=201),
    _route("GET", _GROUP, users.show_group, "get_group", LATE),
    _route("PATCH", _GROUP, users.update_group, "update_group", LATE, body=schemas.GROUP_UPDATE),
    _route("DELETE", _GROUP, users.delete_group, "delete_group", LATE, success=204),
    _route("GET", f"{_GROUP}/users", users.list_group_users, "list_users_in_group", LATE),
    _route("GET", _MEMBER, users.check_group_user, "check_user_in_group", LATE, success=204),
    _route("PUT", _MEMBER, users.add_group_user, "add_user_to_group", LATE, success=204),
    _route("DELETE", _MEMBER, users.remove_group_user, "remove_user_from_group", LATE, success=204),
)

_IMPLIES = "/v3/roles/{prior_role_id}/implies"
_IMPLIED = "/v3/roles/{prior_role_id}/implies/{implied_role_id}"
_ROLES = (
    _route("GET", "/v3/roles", roles.list_roles, "list_roles", LATE),
    _route("POST", "/v3/roles", roles.create_role, "create_role", LATE, body=schemas.ROLE_CREATE, success=201),
    _route("GET", "/v3/roles/{role_id}", roles.show_role, "get_role", LATE),
    _route("PATCH", "/v3/roles/{role_id}", roles.update_role, "update_role", LATE, body=schemas.ROLE_UPDATE),
    _route("DELETE", "/v3/roles/{role_id}", roles.delete_role, "delete_role", LATE, success=204),
    _route("GET", "/v3/role_inferences", roles.list_inferences, "list_role_inference_rules"),
    _route("GET", _IMPLIES, roles.list_implied, "list_implied_roles"),
    _route("GET", _IMPLIED, roles.show_implied, "get_implied_role"),
    _route("HEAD", _IMPLIED, roles.check_implied, "check_implied_role", success=204),
    _route("PUT", _IMPLIED, roles.create_implied, "create_implied_role", success=201),
    _route("DELETE", _IMPLIED, roles.delete_implied, "delete_implied_role", success=204),
    _route("GET", "/v3/role_assignments", role_assignments.list_role_assignments, "list_role_assignments", LATE),
)


def _grant_routes(base: str, rules: tuple[str, str, str, str], after: str = "", *, listed: bool = True) -> list[Route]:
    """The operations on the roles of one kind of actor on one kind of target."""
    one, (listing, checking, creating, revoking) = f"{base}/roles/{{role_id}}{after}", rules
    made = [
        _route("GET", one, grants.check_grant, checking, LATE, success=204),
        _route("PUT", one, grants.create_grant, creating, LATE, success=204),
        _route("DELETE", one, grants.revoke_grant, revoking, LATE, success=204),
    ]
    return [_route("GET", f"{base}/roles{after}", grants.list_grants, listing, LATE), *made] if listed else made


def _all_grant_routes() -> tuple[Route, ...]:
    rules = ("list_grants", "check_grant", "create_grant", "revoke_grant")
    found: list[Route] = []
    for kind in ("user", "group"):
        actor = f"{kind}s/{{{kind}_id}}"
        system = (
            f"list_system_grants_for_{kind}", f"check_system_grant_for_{kind}",
            f"create_system_grant_for_{kind}", f"revoke_system_grant_for_{kind}",
        )  # fmt: skip
        found += _grant_routes(f"/v3/system/{actor}", system)
        for target in ("projects/{project_id}", "domains/{domain_id}"):
            found += _grant_routes(f"/v3/{target}/{actor}", rules)
            is_domain = target.startswith("domains")
            inherit = f"/v3/OS-INHERIT/{target}/{actor}"
            found += _grant_routes(inherit, rules, "/inherited_to_projects", listed=is_domain)
    return tuple(found)


_REGION, _SERVICE, _ENDPOINT = "/v3/regions/{region_id}", "/v3/services/{service_id}", "/v3/endpoints/{endpoint_id}"
_CATALOG = (
    _route("GET", "/v3/regions", catalog.list_regions, "list_regions"),
    _route("POST", "/v3/regions", catalog.create_region, "create_region", body=schemas.REGION_CREATE, success=201),
    _route("GET", _REGION, catalog.show_region, "get_region"),
    _route("PUT", _REGION, catalog.put_region, "create_region", body=schemas.REGION_CREATE, success=201),
    _route("PATCH", _REGION, catalog.update_region, "update_region", body=schemas.REGION_UPDATE),
    _route("DELETE", _REGION, catalog.delete_region, "delete_region", success=204),
    _route("GET", "/v3/services", catalog.list_services, "list_services"),
    _route("POST", "/v3/services", catalog.create_service, "create_service", body=schemas.SERVICE_CREATE, success=201),
    _route("GET", _SERVICE, catalog.show_service, "get_service"),
    _route("PATCH", _SERVICE, catalog.update_service, "update_service", body=schemas.SERVICE_UPDATE),
    _route("DELETE", _SERVICE, catalog.delete_service, "delete_service", success=204),
    _route("GET", "/v3/endpoints", catalog.list_endpoints, "list_endpoints"),
    _route(
        "POST", "/v3/endpoints", catalog.create_endpoint, "create_endpoint", body=schemas.ENDPOINT_CREATE, success=201
    ),
    _route("GET", _ENDPOINT, catalog.show_endpoint, "get_endpoint"),
    _route("PATCH", _ENDPOINT, catalog.update_endpoint, "update_endpoint", body=schemas.ENDPOINT_UPDATE),
    _route("DELETE", _ENDPOINT, catalog.delete_endpoint, "delete_endpoint", success=204),
)

_KEPT, _EC2 = "/v3/credentials/{credential_id}", "/v3/users/{user_id}/credentials/OS-EC2"
_KEPT_CREDENTIALS = (
    _route("GET", "/v3/credentials", credentials.list_credentials, "list_credentials", LATE),
    _route(
        "POST", "/v3/credentials", credentials.create_credential, "create_credential", LATE,
        body=schemas.CREDENTIAL_CREATE, success=201,
    ),
    _route("GET", _KEPT, credentials.show_credential, "get_credential", LATE),
    _route("PATCH", _KEPT, credentials.update_credential, "update_credential", LATE, body=schemas.CREDENTIAL_UPDATE),
    _route("DELETE", _KEPT, credentials.delete_credential, "delete_credential", LATE, success=204),
    _route("GET", _EC2, credentials.list_ec2, "ec2_list_credentials", LATE),
    _route("POST", _EC2, credentials.create_ec2, "ec2_create_credential", LATE, body=schemas.EC2_CREATE, success=201),
    _route("GET", f"{_EC2}/{{credential_id}}", credentials.show_ec2, "ec2_get_credential", LATE),
    _route("DELETE", f"{_EC2}/{{credential_id}}", credentials.delete_ec2, "ec2_delete_credential", LATE, success=204),
)  # fmt: skip

_OWN = "/v3/users/{user_id}/application_credentials"
_ONE = f"{_OWN}/{{application_credential_id}}"
_RULES, _RULE = "/v3/users/{user_id}/access_rules", "/v3/users/{user_id}/access_rules/{access_rule_id}"
_APPLICATION_CREDENTIALS = (
    _route("GET", _OWN, application_credentials.list_application_credentials, "list_application_credentials", LATE),
    _route(
        "POST", _OWN, application_credentials.create_application_credential, "create_application_credential", LATE,
        body=schemas.APPLICATION_CREDENTIAL_CREATE, success=201,
    ),
    _route("GET", _ONE, application_credentials.show_application_credential, "get_application_credential", LATE),
    _route(
        "DELETE", _ONE, application_credentials.delete_application_credential, "delete_application_credential", LATE,
        success=204,
    ),
    _route("GET", _RULES, application_credentials.list_access_rules, "list_access_rules", LATE),
    _route("GET", _RULE, application_credentials.show_access_rule, "get_access_rule", LATE),
    _route("DELETE", _RULE, application_credentials.delete_access_rule, "delete_access_rule", LATE, success=204),
)  # fmt: skip

ROUTES = (
    *_DISCOVERY, *_TOKENS, *_PROJECTS, *_USERS, *_ROLES, *_all_grant_routes(), *_CATALOG,
    *_APPLICATION_CREDENTIALS, *_KEPT_CREDENTIALS,
)  # fmt: skip

HOSTS = {"identity:get:auth/tokens": with_users_rights}
"""Hosts ask identity for a token, nothing else; who validates what a host brought shows the host's beside its own."""

API = Api("identity", ROUTES, dress, vary=("X-Auth-Token",), head_for_get=True, hosts=HOSTS)
