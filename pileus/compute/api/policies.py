"""Who may do what by default: OpenStack's roles and rule names, so that an operator's policy.yaml keeps working.

Source: policy reference of the compute service, release 2026.2.
"""

from collections.abc import Iterator

from pileus.foundation.policy import RuleDefault

ADMIN = "rule:context_is_admin"
MANAGER = "rule:project_manager_or_admin"
MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
SERVICE = "rule:service_or_admin"
OWNER = "rule:context_is_admin or user_id:%(user_id)s"
ANYBODY = "@"

_BASE = (
    RuleDefault("context_is_admin", "role:admin", "Whoever is an administrator"),
    RuleDefault("project_manager_api", "role:manager and project_id:%(project_id)s", "Managers of the project"),
    RuleDefault("project_member_api", "role:member and project_id:%(project_id)s", "Members of the project"),
    RuleDefault("project_reader_api", "role:reader and project_id:%(project_id)s", "Readers of the project"),
    RuleDefault("service_api", "role:service", "Other parts of the cloud"),
    RuleDefault("project_manager_or_admin", "rule:project_manager_api or rule:context_is_admin"),
    RuleDefault("project_member_or_admin", "rule:project_member_api or rule:context_is_admin"),
    RuleDefault("project_reader_or_admin", "rule:project_reader_api or rule:context_is_admin"),
    RuleDefault("service_or_admin", "rule:service_api or rule:context_is_admin"),
)

_OF_ADMINS = """
    os-admin-actions:reset_state  os-availability-zone:detail  os-console-auth-tokens  os-aggregates:index
    os-aggregates:create  os-aggregates:show  os-aggregates:update  os-aggregates:delete  os-aggregates:add_host
    os-aggregates:remove_host  os-aggregates:set_metadata  os-extended-server-attributes  os-flavor-access
    os-flavor-access:add_tenant_access  os-flavor-access:remove_tenant_access  os-flavor-extra-specs:create
    os-flavor-extra-specs:delete  os-flavor-extra-specs:update  os-flavor-manage:create  os-flavor-manage:delete
    os-flavor-manage:update  os-hypervisors:list  os-hypervisors:list-detail  os-hypervisors:show
    os-hypervisors:statistics  os-hypervisors:uptime  os-hypervisors:search  os-hypervisors:servers
    os-instance-actions:events  os-instance-actions:events:details  limits:other_project
    os-lock-server:unlock:unlock_override  os-quota-class-sets:show  os-quota-class-sets:update
    os-quota-sets:delete  os-quota-sets:update  os-server-diagnostics  os-server-groups:index:all_projects
    os-services:delete  os-services:list  os-services:update  os-simple-tenant-usage:list
    servers:allow_all_filters  servers:create:forced_host  servers:create:zero_disk_flavor
    servers:detail:get_all_tenants  servers:index:get_all_tenants  servers:show:host_status
    servers:show:host_status:unknown-only
"""
_OF_MEMBERS = """
    os-admin-password  os-attach-interfaces:create  os-attach-interfaces:delete  os-console-output
    os-deferred-delete:force  os-deferred-delete:restore  os-lock-server:lock  os-lock-server:unlock
    os-pause-server:pause  os-pause-server:unpause  os-remote-consoles  os-security-groups:add
    os-security-groups:remove  os-server-groups:create  os-server-groups:delete  os-server-password:clear
    os-server-tags:delete
    os-server-tags:delete_all  os-server-tags:update  os-server-tags:update_all  os-suspend-server:resume
    os-suspend-server:suspend  os-volumes-attachments:create  os-volumes-attachments:delete
    os-volumes-attachments:update  server-metadata:create  server-metadata:delete  server-metadata:update
    server-metadata:update_all  servers:create  servers:create:attach_network  servers:create:attach_volume
    servers:create:trusted_certs  servers:create_image  servers:create_image:allow_volume_backed  servers:delete
    servers:reboot  servers:rebuild  servers:rebuild:trusted_certs  servers:start  servers:stop  servers:update
"""
_OF_READERS = """
    ips:index  ips:show  os-attach-interfaces:list  os-attach-interfaces:show  os-flavor-extra-specs:index
    os-flavor-extra-specs:show  os-instance-actions:list  os-instance-actions:show  os-quota-sets:detail
    os-quota-sets:show  os-security-groups:list  os-server-groups:index  os-server-groups:show
    os-server-password:show
    os-server-tags:index  os-server-tags:show  os-simple-tenant-usage:show  os-volumes-attachments:index
    os-volumes-attachments:show  server-metadata:index  server-metadata:show  servers:detail  servers:index
    servers:show
"""
_OF_OWNERS = "os-keypairs:create  os-keypairs:delete  os-keypairs:index  os-keypairs:show"
_OF_ANYBODY = "limits  os-availability-zone:list  os-quota-sets:defaults  extensions"
_OF_SERVICES = "os-volumes-attachments:swap  os-server-external-events:create"


def _rules() -> Iterator[RuleDefault]:
    yield from _BASE
    for check, names in (
        (ADMIN, _OF_ADMINS),
        (MEMBER, _OF_MEMBERS),
        (READER, _OF_READERS),
        (OWNER, _OF_OWNERS),
        (ANYBODY, _OF_ANYBODY),
        (SERVICE, _OF_SERVICES),
    ):
        for name in names.split():
            yield RuleDefault(f"os_compute_api:{name}", check)
    yield RuleDefault("compute:servers:create:requested_destination", ADMIN)


POLICIES: tuple[RuleDefault, ...] = tuple(_rules())
