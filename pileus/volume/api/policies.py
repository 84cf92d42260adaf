"""Who may do what by default: OpenStack's roles and rule names, so that an operator's policy.yaml keeps working.

The role `service` alone is enough for what compute does without a user: it looks volumes up, attaches, detaches and
deletes them. Source: policy reference of the block storage service, release 2026.2.
"""

from collections.abc import Iterator

from pileus.foundation.policy import RuleDefault

ADMIN = "rule:context_is_admin"
MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
MEMBER_OR_SERVICE = "rule:project_member_or_admin or rule:service_api"
READER_OR_SERVICE = "rule:project_reader_or_admin or rule:service_api"
ADMIN_OR_SERVICE = "rule:context_is_admin or rule:service_api"

_BASE = (
    RuleDefault("context_is_admin", "role:admin", "Whoever is an administrator"),
    RuleDefault("project_member_api", "role:member and project_id:%(project_id)s", "Members of the project"),
    RuleDefault("project_reader_api", "role:reader and project_id:%(project_id)s", "Readers of the project"),
    RuleDefault("service_api", "role:service", "Other parts of the cloud"),
    RuleDefault("project_member_or_admin", "rule:project_member_api or rule:context_is_admin"),
    RuleDefault("project_reader_or_admin", "rule:project_reader_api or rule:context_is_admin"),
)

_OF_ADMINS = """
    volume:force_delete  volume_extension:volume_admin_actions:force_delete
    volume_extension:volume_admin_actions:reset_status  volume_extension:volume_admin_actions:force_detach
    volume_extension:volume_host_attribute  volume_extension:volume_mig_status_attribute
    volume_extension:snapshot_admin_actions:reset_status  volume_extension:snapshot_admin_actions:force_delete
    volume_extension:type_create  volume_extension:type_update  volume_extension:type_delete
    volume_extension:types_extra_specs:create  volume_extension:types_extra_specs:update
    volume_extension:types_extra_specs:delete  volume_extension:access_types_qos_specs_id
    volume_extension:volume_type_access:addProjectAccess  volume_extension:volume_type_access:removeProjectAccess
    volume_extension:volume_type_access:get_all_for_type
    volume_extension:quotas:update  volume_extension:quotas:delete  volume_extension:quota_classes:get
    volume_extension:quota_classes:update  volume_extension:services:index
    volume_extension:services:update  volume_extension:hosts  volume_extension:capabilities
    scheduler_extension:scheduler_stats:get_pools  volume_extension:volume_type_encryption:get
    limits_extension:used_limits:other_project
"""
_OF_MEMBERS = """
    volume:create  volume:create_from_image  volume:update  volume:extend  volume:extend_attached_volume
    volume:multiattach  volume:multiattach_bootable_volume  volume:update_readonly_flag
    volume:create_volume_metadata  volume:update_volume_metadata  volume:delete_volume_metadata
    volume_extension:volume_actions:attach  message:delete  volume_extension:volume_image_metadata:set
    volume_extension:volume_image_metadata:remove
    volume:create_snapshot  volume:update_snapshot  volume:delete_snapshot  volume:update_snapshot_metadata
    volume:delete_snapshot_metadata  volume:retype
"""
_OF_MEMBERS_AND_SERVICES = """
    volume:delete  volume:attachment_create  volume:attachment_update  volume:attachment_delete
    volume:attachment_complete  volume_extension:volume_actions:reserve  volume_extension:volume_actions:unreserve
    volume_extension:volume_actions:begin_detaching  volume_extension:volume_actions:roll_detaching
    volume_extension:volume_actions:detach  volume_extension:volume_actions:initialize_connection
    volume_extension:volume_actions:terminate_connection
"""
_OF_READERS = """
    volume:get_snapshot  volume:get_all_snapshots  volume:get_snapshot_metadata
    volume:get_volume_metadata  volume_extension:volume_tenant_attribute  volume_extension:type_get
    volume_extension:type_get_all  volume_extension:access_types_extra_specs
    volume_extension:types_extra_specs:index  volume_extension:types_extra_specs:show
    volume_extension:types_extra_specs:read_sensitive  volume_extension:volume_type_access
    volume_extension:quotas:show  limits_extension:used_limits  message:get  message:get_all
    volume_extension:volume_image_metadata:show  volume_extension:volume_encryption_metadata
"""
_OF_READERS_AND_SERVICES = """
    volume:get  volume:get_all  volume:attachment_get  volume:attachment_get_all
"""
_OF_ADMINS_AND_SERVICES = "volume:attachment_connection_info  volume:get_all_projects"


def _rules() -> Iterator[RuleDefault]:
    yield from _BASE
    for check, names in (
        (ADMIN, _OF_ADMINS),
        (MEMBER, _OF_MEMBERS),
        (MEMBER_OR_SERVICE, _OF_MEMBERS_AND_SERVICES),
        (READER, _OF_READERS),
        (READER_OR_SERVICE, _OF_READERS_AND_SERVICES),
        (ADMIN_OR_SERVICE, _OF_ADMINS_AND_SERVICES),
    ):
        for name in names.split():
            yield RuleDefault(name, check)


POLICIES: tuple[RuleDefault, ...] = tuple(_rules())
