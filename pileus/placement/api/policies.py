"""Who may do what in placement: the rules that the reference implementation ships, by their names there."""

from pileus.foundation.policy import RuleDefault

_BASE = (
    RuleDefault("admin_api", "role:admin", "Administrators."),
    RuleDefault("service_api", "role:service", "Other services of the cloud."),
    RuleDefault("admin_or_service_api", "role:admin or role:service", "Nearly every operation."),
    RuleDefault("project_reader_api", "role:reader and project_id:%(project_id)s", "Readers of a project."),
    RuleDefault(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        "What concerns one project.",
    ),
)

_PROVIDER = "/resource_providers/{uuid}"

_OPERATIONS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("resource_providers:list", (("GET", "/resource_providers"),)),
    ("resource_providers:create", (("POST", "/resource_providers"),)),
    ("resource_providers:show", (("GET", _PROVIDER),)),
    ("resource_providers:update", (("PUT", _PROVIDER),)),
    ("resource_providers:delete", (("DELETE", _PROVIDER),)),
    ("resource_providers:inventories:list", (("GET", f"{_PROVIDER}/inventories"),)),
    ("resource_providers:inventories:create", (("POST", f"{_PROVIDER}/inventories"),)),
    ("resource_providers:inventories:show", (("GET", _PROVIDER + "/inventories/{resource_class}"),)),
    (
        "resource_providers:inventories:update",
        (("PUT", f"{_PROVIDER}/inventories"), ("PUT", _PROVIDER + "/inventories/{resource_class}")),
    ),
    (
        "resource_providers:inventories:delete",
        (("DELETE", f"{_PROVIDER}/inventories"), ("DELETE", _PROVIDER + "/inventories/{resource_class}")),
    ),
    ("resource_providers:aggregates:list", (("GET", f"{_PROVIDER}/aggregates"),)),
    ("resource_providers:aggregates:update", (("PUT", f"{_PROVIDER}/aggregates"),)),
    ("resource_providers:traits:list", (("GET", f"{_PROVIDER}/traits"),)),
    ("resource_providers:traits:update", (("PUT", f"{_PROVIDER}/traits"),)),
    ("resource_providers:traits:delete", (("DELETE", f"{_PROVIDER}/traits"),)),
    ("resource_providers:usages", (("GET", f"{_PROVIDER}/usages"),)),
    ("resource_providers:allocations:list", (("GET", f"{_PROVIDER}/allocations"),)),
    ("resource_classes:list", (("GET", "/resource_classes"),)),
    ("resource_classes:create", (("POST", "/resource_classes"),)),
    ("resource_classes:show", (("GET", "/resource_classes/{name}"),)),
    ("resource_classes:update", (("PUT", "/resource_classes/{name}"),)),
    ("resource_classes:delete", (("DELETE", "/resource_classes/{name}"),)),
    ("traits:list", (("GET", "/traits"),)),
    ("traits:show", (("GET", "/traits/{name}"),)),
    ("traits:update", (("PUT", "/traits/{name}"),)),
    ("traits:delete", (("DELETE", "/traits/{name}"),)),
    ("allocations:manage", (("POST", "/allocations"),)),
    ("allocations:list", (("GET", "/allocations/{consumer_uuid}"),)),
    ("allocations:update", (("PUT", "/allocations/{consumer_uuid}"),)),
    ("allocations:delete", (("DELETE", "/allocations/{consumer_uuid}"),)),
    ("allocation_candidates:list", (("GET", "/allocation_candidates"),)),
)

POLICIES = (
    *_BASE,
    *(
        RuleDefault(f"placement:{name}", "rule:admin_or_service_api", operations=operations)
        for name, operations in _OPERATIONS
    ),
    RuleDefault("placement:usages", "rule:admin_or_project_reader_or_service_api", operations=(("GET", "/usages"),)),
    RuleDefault("placement:reshaper:reshape", "rule:service_api", operations=(("POST", "/reshaper"),)),
)
