"""Identity's tables. Ids are TEXT, times UTC microseconds, booleans 0 or 1, documents JSON.

Every row belongs to a user, a project or a domain, or is the operator's own (roles, catalog, epoch, revocations).
"""

from pileus.foundation.database import Migration, Schema

_PROJECTS = (
    # A domain is a row with is_domain = 1; '' stands for "none", so that unique keys hold.
    (
        "CREATE TABLE identity_projects (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL,"
        " domain_id TEXT NOT NULL, parent_id TEXT NOT NULL, is_domain INTEGER NOT NULL, description TEXT,"
        " enabled INTEGER NOT NULL, options TEXT NOT NULL, extra TEXT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX identity_projects_name ON identity_projects (domain_id, name_key)",
    "CREATE INDEX identity_projects_parent ON identity_projects (parent_id)",
    "CREATE TABLE identity_project_tags (project_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (project_id, tag))",
)

_USERS = (
    (
        "CREATE TABLE identity_users (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL,"
        " domain_id TEXT NOT NULL, enabled INTEGER NOT NULL, default_project_id TEXT,"
        " options TEXT NOT NULL, extra TEXT NOT NULL, password_hash TEXT NOT NULL, password_set_at BIGINT NOT NULL,"
        " password_expires_at BIGINT, failed_logins INTEGER NOT NULL, last_failed_at BIGINT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX identity_users_name ON identity_users (domain_id, name_key)",
    (
        "CREATE TABLE identity_password_history (user_id TEXT NOT NULL, set_at BIGINT NOT NULL, hash TEXT NOT NULL,"
        " PRIMARY KEY (user_id, set_at))"
    ),
    (
        "CREATE TABLE identity_groups (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL,"
        " domain_id TEXT NOT NULL, description TEXT NOT NULL, extra TEXT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX identity_groups_name ON identity_groups (domain_id, name_key)",
    (
        "CREATE TABLE identity_group_members (group_id TEXT NOT NULL, user_id TEXT NOT NULL,"
        " PRIMARY KEY (group_id, user_id))"
    ),
    "CREATE INDEX identity_group_members_user ON identity_group_members (user_id)",
)

_ROLES = (
    (
        "CREATE TABLE identity_roles (id TEXT PRIMARY KEY, name TEXT NOT NULL, name_key TEXT NOT NULL,"
        " domain_id TEXT NOT NULL, description TEXT, options TEXT NOT NULL, extra TEXT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX identity_roles_name ON identity_roles (domain_id, name_key)",
    (
        "CREATE TABLE identity_implied_roles (prior_id TEXT NOT NULL, implied_id TEXT NOT NULL,"
        " PRIMARY KEY (prior_id, implied_id))"
    ),
    (
        "CREATE TABLE identity_assignments (actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL,"
        " target_kind TEXT NOT NULL, target_id TEXT NOT NULL, role_id TEXT NOT NULL, inherited INTEGER NOT NULL,"
        " PRIMARY KEY (actor_id, actor_kind, target_id, target_kind, role_id, inherited))"
    ),
    "CREATE INDEX identity_assignments_target ON identity_assignments (target_id)",
    "CREATE INDEX identity_assignments_role ON identity_assignments (role_id)",
)

_CATALOG = (
    (
        "CREATE TABLE identity_regions (id TEXT PRIMARY KEY, description TEXT NOT NULL, parent_region_id TEXT,"
        " extra TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE identity_services (id TEXT PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL,"
        " enabled INTEGER NOT NULL, description TEXT, extra TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE identity_endpoints (id TEXT PRIMARY KEY, service_id TEXT NOT NULL, interface TEXT NOT NULL,"
        " region_id TEXT, url TEXT NOT NULL, enabled INTEGER NOT NULL, extra TEXT NOT NULL)"
    ),
    "CREATE INDEX identity_endpoints_service ON identity_endpoints (service_id)",
)

_TOKENS = (
    "CREATE TABLE identity_epoch (id INTEGER PRIMARY KEY, value BIGINT NOT NULL)",
    "INSERT INTO identity_epoch (id, value) VALUES (1, 1)",
    # One row per subject, the latest revocation of it; gone once no token from before it can be accepted.
    (
        "CREATE TABLE identity_revocations (subject TEXT PRIMARY KEY, epoch BIGINT NOT NULL,"
        " revoked_at BIGINT NOT NULL, forget_at BIGINT NOT NULL)"
    ),
    "CREATE INDEX identity_revocations_forget ON identity_revocations (forget_at)",
    "CREATE INDEX identity_revocations_epoch ON identity_revocations (epoch)",
    (
        "CREATE TABLE identity_access_log (audit_id TEXT PRIMARY KEY, request_id TEXT NOT NULL, user_id TEXT NOT NULL,"
        " project_id TEXT NOT NULL, methods TEXT NOT NULL, started_at BIGINT NOT NULL, duration_us BIGINT NOT NULL)"
    ),
    "CREATE INDEX identity_access_log_started ON identity_access_log (started_at)",
)

_CREDENTIALS = (
    (
        "CREATE TABLE identity_application_credentials (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL,"
        " project_id TEXT NOT NULL, description TEXT, secret_hash TEXT NOT NULL, expires_at BIGINT,"
        " unrestricted INTEGER NOT NULL, role_ids TEXT NOT NULL, access_rules TEXT NOT NULL)"
    ),
    "CREATE UNIQUE INDEX identity_application_credentials_name ON identity_application_credentials (user_id, name)",
    (
        "CREATE TABLE identity_access_rules (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, service TEXT NOT NULL,"
        " method TEXT NOT NULL, path TEXT NOT NULL)"
    ),
    "CREATE INDEX identity_access_rules_user ON identity_access_rules (user_id)",
    (
        "CREATE TABLE identity_credentials (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, type TEXT NOT NULL,"
        " sealed BLOB NOT NULL, project_id TEXT, application_credential_id TEXT NOT NULL, extra TEXT NOT NULL)"
    ),
    "CREATE INDEX identity_credentials_user ON identity_credentials (user_id)",
    "CREATE TABLE identity_bootstrap (id INTEGER PRIMARY KEY, digest TEXT NOT NULL)",
)

_ISSUED_BY = ("ALTER TABLE identity_access_log ADD COLUMN process TEXT NOT NULL DEFAULT ''",)

SCHEMA = Schema(
    "identity",
    (
        Migration(1, "first tables", _PROJECTS + _USERS + _ROLES + _CATALOG + _TOKENS + _CREDENTIALS),
        Migration(2, "which process issued a token", _ISSUED_BY),
    ),
)
