"""Who may do what in identity: the default rules of the published API, for `policy.yaml` to override.

Source: the Identity service's policy reference (2026.2). `token.domain.id` is written as `domain_id` here: the same
fact under its shorter name.
"""

from pileus.foundation.policy import RuleDefault

_ADMIN = "rule:admin_required"
_READ = f"{_ADMIN} or (role:reader and system_scope:all)"


def _in_domain(role: str, *attributes: str) -> str:
    return "(" + " and ".join([f"role:{role}", *(f"domain_id:%({each})s" for each in attributes)]) + ")"


_ACTORS = ("target.user.domain_id", "target.group.domain_id")
_TARGETS = ("target.project.domain_id", "target.domain.id")
_OWN_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"


def _grants(role: str) -> str:
    """Actor and target both lie in the caller's domain."""
    return "(" + " or ".join(_in_domain(role, actor, target) for actor in _ACTORS for target in _TARGETS) + ")"


_CHANGE_GRANT = (
    f"{_ADMIN} or ({_grants('admin')} and {_OWN_ROLE}) or ({_grants('manager')} and rule:domain_managed_target_role)"
)
_PROJECT_READ = (
    f"{_READ} or (role:reader and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)"
    " or project_id:%(target.project.id)s"
)
_PROJECT_CHANGE = (
    f"{_ADMIN} or (role:manager and domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s)"
)
_LIST_IN_DOMAIN = f"{_READ} or {_in_domain('reader', 'target.domain_id')}"
_LIST_ASSIGNMENTS = f"{_READ} or (role:reader and domain_id:%(target.domain_id)s and not None:%(target.domain_id)s)"
_GROUP_READ = f"{_READ} or {_in_domain('reader', 'target.group.domain_id')}"
_GROUP_CHANGE = f"{_ADMIN} or {_in_domain('manager', 'target.group.domain_id')}"
_USER_CHANGE = f"{_ADMIN} or {_in_domain('manager', 'target.user.domain_id')}"
_MEMBER_CHANGE = f"{_ADMIN} or {_in_domain('manager', 'target.group.domain_id', 'target.user.domain_id')}"
_HOLDER = "user_id:%(target.credential.user_id)s"
_SELF = "user_id:%(target.user.id)s"

_CHECKS: dict[str, str] = {
    "admin_required": "role:admin or is_admin:1",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "token_subject": "user_id:%(target.token.user_id)s",
    "domain_managed_target_role": (
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"
    ),
    # tokens
    "identity:validate_token": f"{_READ} or rule:service_role or rule:token_subject",
    "identity:check_token": f"{_READ} or rule:token_subject",
    "identity:revoke_token": f"{_ADMIN} or rule:token_subject",
    "identity:get_auth_catalog": "",
    "identity:get_auth_projects": "",
    "identity:get_auth_domains": "",
    "identity:get_auth_system": "",
    # projects and domains
    "identity:list_projects": _LIST_IN_DOMAIN,
    "identity:list_user_projects": f"{_READ} or {_in_domain('reader', 'target.user.domain_id')} or {_SELF}",
    "identity:get_project": _PROJECT_READ,
    "identity:create_project": _PROJECT_CHANGE,
    "identity:update_project": _PROJECT_CHANGE,
    "identity:delete_project": _PROJECT_CHANGE,
    "identity:list_project_tags": _PROJECT_READ,
    "identity:get_project_tag": _PROJECT_READ,
    "identity:update_project_tags": _PROJECT_CHANGE,
    "identity:create_project_tag": _PROJECT_CHANGE,
    "identity:delete_project_tags": _PROJECT_CHANGE,
    "identity:delete_project_tag": _PROJECT_CHANGE,
    "identity:list_domains": f"{_READ} or {_in_domain('reader', 'target.domain.id')}",
    "identity:get_domain": f"{_READ} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s",
    "identity:create_domain": _ADMIN,
    "identity:update_domain": _ADMIN,
    "identity:delete_domain": _ADMIN,
    # users and groups
    "identity:list_users": _LIST_IN_DOMAIN,
    "identity:get_user": f"{_READ} or {_in_domain('reader', 'target.user.domain_id')} or {_SELF}",
    "identity:create_user": _USER_CHANGE,
    "identity:update_user": _USER_CHANGE,
    "identity:delete_user": _USER_CHANGE,
    "identity:list_groups": _GROUP_READ,
    "identity:get_group": _GROUP_READ,
    "identity:list_groups_for_user": (
        f"{_READ} or {_in_domain('reader', 'target.user.domain_id')} or user_id:%(user_id)s"
    ),
    "identity:create_group": _GROUP_CHANGE,
    "identity:update_group": _GROUP_CHANGE,
    "identity:delete_group": _GROUP_CHANGE,
    "identity:list_users_in_group": _GROUP_READ,
    "identity:check_user_in_group": (
        f"{_READ} or {_in_domain('reader', 'target.group.domain_id', 'target.user.domain_id')}"
    ),
    "identity:add_user_to_group": _MEMBER_CHANGE,
    "identity:remove_user_from_group": _MEMBER_CHANGE,
    # roles
    "identity:list_roles": f"{_READ} or (role:manager and not domain_id:None)",
    "identity:get_role": f"{_READ} or (role:manager and rule:domain_managed_target_role)",
    "identity:create_role": _ADMIN,
    "identity:update_role": _ADMIN,
    "identity:delete_role": _ADMIN,
    "identity:list_domain_roles": _READ,
    "identity:get_domain_role": _READ,
    "identity:create_domain_role": _ADMIN,
    "identity:update_domain_role": _ADMIN,
    "identity:delete_domain_role": _ADMIN,
    "identity:list_role_inference_rules": _READ,
    "identity:list_implied_roles": _READ,
    "identity:get_implied_role": _READ,
    "identity:check_implied_role": _READ,
    "identity:create_implied_role": _ADMIN,
    "identity:delete_implied_role": _ADMIN,
    # assignments
    "identity:list_role_assignments": _LIST_ASSIGNMENTS,
    "identity:list_role_assignments_for_tree": _LIST_ASSIGNMENTS,
    "identity:check_grant": f"{_READ} or ({_grants('reader')} and {_OWN_ROLE})",
    "identity:list_grants": f"{_READ} or {_grants('reader')}",
    "identity:create_grant": _CHANGE_GRANT,
    "identity:revoke_grant": _CHANGE_GRANT,
    "identity:list_system_grants_for_user": _READ,
    "identity:check_system_grant_for_user": _READ,
    "identity:create_system_grant_for_user": _ADMIN,
    "identity:revoke_system_grant_for_user": _ADMIN,
    "identity:list_system_grants_for_group": _READ,
    "identity:check_system_grant_for_group": _READ,
    "identity:create_system_grant_for_group": _ADMIN,
    "identity:revoke_system_grant_for_group": _ADMIN,
    # catalog
    "identity:list_regions": "",
    "identity:get_region": "",
    "identity:create_region": _ADMIN,
    "identity:update_region": _ADMIN,
    "identity:delete_region": _ADMIN,
    "identity:list_services": _READ,
    "identity:get_service": _READ,
    "identity:create_service": _ADMIN,
    "identity:update_service": _ADMIN,
    "identity:delete_service": _ADMIN,
    "identity:list_endpoints": _READ,
    "identity:get_endpoint": _READ,
    "identity:create_endpoint": _ADMIN,
    "identity:update_endpoint": _ADMIN,
    "identity:delete_endpoint": _ADMIN,
    # application credentials
    "identity:list_application_credentials": f"{_READ} or rule:owner",
    "identity:get_application_credential": f"{_READ} or rule:owner",
    "identity:create_application_credential": "rule:owner",
    "identity:delete_application_credential": "rule:admin_or_owner",
    # credentials
    "identity:list_credentials": f"{_READ} or {_HOLDER}",
    "identity:get_credential": f"{_READ} or {_HOLDER}",
    "identity:create_credential": f"{_ADMIN} or {_HOLDER}",
    "identity:update_credential": f"{_ADMIN} or {_HOLDER}",
    "identity:delete_credential": f"{_ADMIN} or {_HOLDER}",
    "identity:ec2_list_credentials": f"{_READ} or rule:owner",
    "identity:ec2_get_credential": f"{_READ} or {_HOLDER}",
    "identity:ec2_create_credential": f"{_ADMIN} or (role:member and {_HOLDER})",
    "identity:ec2_delete_credential": f"{_ADMIN} or (role:member and {_HOLDER})",
    "identity:list_access_rules": f"(role:reader and system_scope:all) or {_SELF}",
    "identity:get_access_rule": f"(role:reader and system_scope:all) or {_SELF}",
    "identity:delete_access_rule": f"(role:admin and system_scope:all) or {_SELF}",
}

RULES = tuple(RuleDefault(name, check) for name, check in _CHECKS.items())
