"""Every operation of block storage, as one table."""

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Handler, Route
from pileus.foundation.http.schema import Body
from pileus.volume.api import (
    attachment_schema,
    attachments,
    cloud_facts,
    discovery,
    messages,
    quotas,
    services,
    snapshot_schema,
    snapshots,
    type_schema,
    types,
    volume_schema,
    volumes,
)
from pileus.volume.api import volume_actions as actions
from pileus.volume.api import volume_metadata as metadata
from pileus.volume.api.dress import dress
from pileus.volume.api.hosts import HOSTS
from pileus.volume.api.versions import MICROVERSIONS

_OP = "block-storage:"

_DISCOVERY = (
    Route("GET", "/", discovery.list_versions, None, f"{_OP}get:root", success=300),
    Route("GET", "/v3", discovery.redirect, None, f"{_OP}get:", success=302),
    Route("GET", "/v3/", discovery.show_version, "", f"{_OP}get:"),
)

_VOLUMES = (
    Route("GET", "/v3/volumes", volumes.list_volumes, "volume:get_all", f"{_OP}get:volumes",
          query=volume_schema.LIST),
    Route("POST", "/v3/volumes", volumes.create_volume, "volume:create", f"{_OP}post:volumes", success=202,
          body=volume_schema.CREATE),
    Route("GET", "/v3/volumes/detail", volumes.list_volumes_detail, "volume:get_all", f"{_OP}get:volumes/detail",
          query=volume_schema.LIST),
    Route("GET", "/v3/volumes/summary", volumes.summarize_volumes, "volume:get_all", f"{_OP}get:volumes/summary",
          since="3.12", query=volume_schema.LIST),
    Route("GET", "/v3/volumes/{volume_id}", volumes.show_volume, "volume:get", f"{_OP}get:volumes/*", late=True),
    Route("PUT", "/v3/volumes/{volume_id}", volumes.update_volume, "volume:update", f"{_OP}put:volumes/*", late=True,
          body=volume_schema.UPDATE_OLD, until="3.52"),
    Route("PUT", "/v3/volumes/{volume_id}", volumes.update_volume, "volume:update", f"{_OP}put:volumes/*", late=True,
          body=volume_schema.UPDATE, since="3.53"),
    Route("DELETE", "/v3/volumes/{volume_id}", volumes.delete_volume, "volume:delete", f"{_OP}delete:volumes/*",
          success=202, late=True),
)  # fmt: skip

_ATTACHMENTS = (
    Route("GET", "/v3/attachments", attachments.list_attachments, "volume:attachment_get_all",
          f"{_OP}get:attachments", since="3.27", query=attachment_schema.LIST),
    Route("POST", "/v3/attachments", attachments.create_attachment, "volume:attachment_create",
          f"{_OP}post:attachments", since="3.27", body=attachment_schema.CREATE, late=True),
    Route("GET", "/v3/attachments/detail", attachments.list_attachments_detail, "volume:attachment_get_all",
          f"{_OP}get:attachments/detail", since="3.27", query=attachment_schema.LIST),
    Route("GET", "/v3/attachments/{attachment_id}", attachments.show_attachment, "volume:attachment_get",
          f"{_OP}get:attachments/*", since="3.27", late=True),
    Route("PUT", "/v3/attachments/{attachment_id}", attachments.update_attachment, "volume:attachment_update",
          f"{_OP}put:attachments/*", since="3.27", body=attachment_schema.UPDATE, late=True),
    Route("DELETE", "/v3/attachments/{attachment_id}", attachments.delete_attachment, "volume:attachment_delete",
          f"{_OP}delete:attachments/*", since="3.27", late=True),
    Route("POST", "/v3/attachments/{attachment_id}/action", attachments.complete_attachment,
          "volume:attachment_complete", f"{_OP}post:attachments/*/action:os-complete", success=204, since="3.44",
          action="os-complete", body=attachment_schema.COMPLETE, late=True),
)  # fmt: skip


def _action(key: str, handler: Handler, policy: str, body: Body, success: int = 202) -> Route:
    return Route("POST", "/v3/volumes/{volume_id}/action", handler, policy, f"{_OP}post:volumes/*/action:{key}",
                 success=success, action=key, body=body, late=True)  # fmt: skip


_OLD = "volume_extension:volume_actions:"
_ADMIN = "volume_extension:volume_admin_actions:"
_ACTIONS = (
    _action("os-extend", actions.extend_volume, "volume:extend", volume_schema.EXTEND),
    _action("os-set_bootable", actions.set_bootable, "volume:update", volume_schema.SET_BOOTABLE, 200),
    _action("os-update_readonly_flag", actions.set_read_only, "volume:update_readonly_flag",
            volume_schema.SET_READ_ONLY),
    _action("os-retype", actions.retype_volume, "volume:retype", volume_schema.RETYPE),
    _action("os-reset_status", actions.reset_status, f"{_ADMIN}reset_status", volume_schema.RESET_STATUS),
    _action("os-force_delete", actions.force_delete, f"{_ADMIN}force_delete", volume_schema.FORCE_DELETE),
    _action("os-force_detach", actions.force_detach, f"{_ADMIN}force_detach", volume_schema.FORCE_DETACH),
    _action("os-reserve", actions.reserve, f"{_OLD}reserve", volume_schema.RESERVE),
    _action("os-unreserve", actions.unreserve, f"{_OLD}unreserve", volume_schema.UNRESERVE),
    _action("os-attach", actions.attach_volume, f"{_OLD}attach", volume_schema.ATTACH),
    _action("os-detach", actions.detach_volume, f"{_OLD}detach", volume_schema.DETACH),
    _action("os-begin_detaching", actions.begin_detaching, f"{_OLD}begin_detaching", volume_schema.BEGIN_DETACHING),
    _action("os-roll_detaching", actions.roll_detaching, f"{_OLD}roll_detaching", volume_schema.ROLL_DETACHING),
    _action("os-initialize_connection", actions.initialize_connection, f"{_OLD}initialize_connection",
            volume_schema.CONNECT, 200),
    _action("os-show_image_metadata", metadata.show_image_metadata, "volume_extension:volume_image_metadata:show",
            volume_schema.SHOW_IMAGE_METADATA, 200),
    _action("os-set_image_metadata", metadata.set_image_metadata, "volume_extension:volume_image_metadata:set",
            volume_schema.SET_IMAGE_METADATA, 200),
    _action("os-unset_image_metadata", metadata.unset_image_metadata, "volume_extension:volume_image_metadata:remove",
            volume_schema.UNSET_IMAGE_METADATA, 200),
    _action("os-terminate_connection", actions.terminate_connection, f"{_OLD}terminate_connection",
            volume_schema.DISCONNECT),
)  # fmt: skip

_META = "/v3/volumes/{volume_id}/metadata"
_METADATA = (
    Route("GET", _META, metadata.show_metadata, "volume:get_volume_metadata", f"{_OP}get:volumes/*/metadata",
          late=True),
    Route("POST", _META, metadata.create_metadata, "volume:create_volume_metadata", f"{_OP}post:volumes/*/metadata",
          body=volume_schema.METADATA, late=True),
    Route("PUT", _META, metadata.replace_metadata, "volume:update_volume_metadata", f"{_OP}put:volumes/*/metadata",
          body=volume_schema.METADATA, late=True),
    Route("GET", f"{_META}/{{key}}", metadata.show_one, "volume:get_volume_metadata",
          f"{_OP}get:volumes/*/metadata/*", late=True),
    Route("PUT", f"{_META}/{{key}}", metadata.update_one, "volume:update_volume_metadata",
          f"{_OP}put:volumes/*/metadata/*", body=volume_schema.ONE_METADATA, late=True),
    Route("DELETE", f"{_META}/{{key}}", metadata.delete_one, "volume:delete_volume_metadata",
          f"{_OP}delete:volumes/*/metadata/*", late=True),
    Route("GET", "/v3/volumes/{volume_id}/encryption", metadata.show_encryption,
          "volume_extension:volume_encryption_metadata", f"{_OP}get:volumes/*/encryption", late=True),
    Route("GET", "/v3/volumes/{volume_id}/encryption/{key}", metadata.show_encryption_key,
          "volume_extension:volume_encryption_metadata", f"{_OP}get:volumes/*/encryption/*", late=True),
)  # fmt: skip

_SNAP = "/v3/snapshots/{snapshot_id}"
_SNAP_META = f"{_SNAP}/metadata"
_SNAP_ADMIN = "volume_extension:snapshot_admin_actions:"
_SNAPSHOTS = (
    Route("GET", "/v3/snapshots", snapshots.list_snapshots, "volume:get_all_snapshots", f"{_OP}get:snapshots",
          query=volume_schema.LIST),
    Route("POST", "/v3/snapshots", snapshots.create_snapshot, "volume:create_snapshot", f"{_OP}post:snapshots",
          success=202, body=snapshot_schema.CREATE, late=True),
    Route("GET", "/v3/snapshots/detail", snapshots.list_snapshots_detail, "volume:get_all_snapshots",
          f"{_OP}get:snapshots/detail", query=volume_schema.LIST),
    Route("GET", _SNAP, snapshots.show_snapshot, "volume:get_snapshot", f"{_OP}get:snapshots/*", late=True),
    Route("PUT", _SNAP, snapshots.update_snapshot, "volume:update_snapshot", f"{_OP}put:snapshots/*",
          body=snapshot_schema.UPDATE, late=True),
    Route("DELETE", _SNAP, snapshots.delete_snapshot, "volume:delete_snapshot", f"{_OP}delete:snapshots/*",
          success=202, late=True),
    Route("GET", _SNAP_META, snapshots.show_metadata, "volume:get_snapshot_metadata", f"{_OP}get:snapshots/*/metadata",
          late=True),
    Route("POST", _SNAP_META, snapshots.create_metadata, "volume:update_snapshot_metadata",
          f"{_OP}post:snapshots/*/metadata", body=volume_schema.METADATA, late=True),
    Route("PUT", _SNAP_META, snapshots.replace_metadata, "volume:update_snapshot_metadata",
          f"{_OP}put:snapshots/*/metadata", body=volume_schema.METADATA, late=True),
    Route("GET", f"{_SNAP_META}/{{key}}", snapshots.show_one, "volume:get_snapshot_metadata",
          f"{_OP}get:snapshots/*/metadata/*", late=True),
    Route("PUT", f"{_SNAP_META}/{{key}}", snapshots.update_one, "volume:update_snapshot_metadata",
          f"{_OP}put:snapshots/*/metadata/*", body=volume_schema.ONE_METADATA, late=True),
    Route("DELETE", f"{_SNAP_META}/{{key}}", snapshots.delete_one, "volume:delete_snapshot_metadata",
          f"{_OP}delete:snapshots/*/metadata/*", late=True),
    Route("POST", f"{_SNAP}/action", snapshots.reset_status, f"{_SNAP_ADMIN}reset_status",
          f"{_OP}post:snapshots/*/action:os-reset_status", success=202, action="os-reset_status",
          body=snapshot_schema.RESET_STATUS, late=True),
    Route("POST", f"{_SNAP}/action", snapshots.force_delete, f"{_SNAP_ADMIN}force_delete",
          f"{_OP}post:snapshots/*/action:os-force_delete", success=202, action="os-force_delete",
          body=snapshot_schema.FORCE_DELETE, late=True),
)  # fmt: skip

_TYPE = "/v3/types/{type_id}"
_EXT = "volume_extension:"
_TYPES = (
    Route("GET", "/v3/types", types.list_types, f"{_EXT}type_get_all", f"{_OP}get:types", query=type_schema.LIST),
    Route("POST", "/v3/types", types.create_type, f"{_EXT}type_create", f"{_OP}post:types", body=type_schema.CREATE),
    Route("GET", "/v3/types/default", types.show_default_type, f"{_EXT}type_get", f"{_OP}get:types/default"),
    Route("GET", _TYPE, types.show_type, f"{_EXT}type_get", f"{_OP}get:types/*"),
    Route("PUT", _TYPE, types.update_type, f"{_EXT}type_update", f"{_OP}put:types/*", body=type_schema.UPDATE),
    Route("DELETE", _TYPE, types.delete_type, f"{_EXT}type_delete", f"{_OP}delete:types/*", success=202),
    Route("GET", f"{_TYPE}/encryption", types.show_encryption, f"{_EXT}volume_type_encryption:get",
          f"{_OP}get:types/*/encryption"),
    Route("GET", f"{_TYPE}/extra_specs", types.list_specs, f"{_EXT}types_extra_specs:index",
          f"{_OP}get:types/*/extra_specs"),
    Route("POST", f"{_TYPE}/extra_specs", types.create_specs, f"{_EXT}types_extra_specs:create",
          f"{_OP}post:types/*/extra_specs", body=type_schema.SPECS),
    Route("GET", f"{_TYPE}/extra_specs/{{key}}", types.show_spec, f"{_EXT}types_extra_specs:show",
          f"{_OP}get:types/*/extra_specs/*"),
    Route("PUT", f"{_TYPE}/extra_specs/{{key}}", types.update_spec, f"{_EXT}types_extra_specs:update",
          f"{_OP}put:types/*/extra_specs/*", body=type_schema.ONE_SPEC),
    Route("DELETE", f"{_TYPE}/extra_specs/{{key}}", types.delete_spec, f"{_EXT}types_extra_specs:delete",
          f"{_OP}delete:types/*/extra_specs/*", success=202),
    Route("GET", f"{_TYPE}/os-volume-type-access", types.list_access, f"{_EXT}volume_type_access:get_all_for_type",
          f"{_OP}get:types/*/os-volume-type-access"),
    Route("POST", f"{_TYPE}/action", types.add_access, f"{_EXT}volume_type_access:addProjectAccess",
          f"{_OP}post:types/*/action:addProjectAccess", success=202, action="addProjectAccess",
          body=type_schema.ADD_ACCESS),
    Route("POST", f"{_TYPE}/action", types.remove_access, f"{_EXT}volume_type_access:removeProjectAccess",
          f"{_OP}post:types/*/action:removeProjectAccess", success=202, action="removeProjectAccess",
          body=type_schema.REMOVE_ACCESS),
)  # fmt: skip

_QUOTA = "/v3/os-quota-sets/{target_project_id}"
_QUOTAS = (
    Route("GET", _QUOTA, quotas.show_quota, f"{_EXT}quotas:show", f"{_OP}get:os-quota-sets/*", query=quotas.SHOW,
          late=True),
    Route("GET", f"{_QUOTA}/defaults", quotas.show_defaults, f"{_EXT}quotas:show",
          f"{_OP}get:os-quota-sets/*/defaults", late=True),
    Route("PUT", _QUOTA, quotas.update_quota, f"{_EXT}quotas:update", f"{_OP}put:os-quota-sets/*",
          body=quotas.UPDATE, late=True),
    Route("DELETE", _QUOTA, quotas.delete_quota, f"{_EXT}quotas:delete", f"{_OP}delete:os-quota-sets/*", late=True),
    Route("GET", "/v3/os-quota-class-sets/{class_name}", quotas.show_class, f"{_EXT}quota_classes:get",
          f"{_OP}get:os-quota-class-sets/*"),
    Route("PUT", "/v3/os-quota-class-sets/{class_name}", quotas.update_class, f"{_EXT}quota_classes:update",
          f"{_OP}put:os-quota-class-sets/*", body=quotas.UPDATE_CLASS),
    Route("GET", "/v3/limits", quotas.show_limits, "limits_extension:used_limits", f"{_OP}get:limits",
          query=quotas.LIMITS),
)  # fmt: skip

_MESSAGES = (
    Route("GET", "/v3/messages", messages.list_messages, "message:get_all", f"{_OP}get:messages", since="3.3",
          query=messages.LIST),
    Route("GET", "/v3/messages/{message_id}", messages.show_message, "message:get", f"{_OP}get:messages/*",
          since="3.3", late=True),
    Route("DELETE", "/v3/messages/{message_id}", messages.delete_message, "message:delete",
          f"{_OP}delete:messages/*", success=204, since="3.3", late=True),
)  # fmt: skip

_FACTS = (
    Route("GET", "/v3/extensions", cloud_facts.list_extensions, "", f"{_OP}get:extensions"),
    Route("GET", "/v3/extensions/{alias}", cloud_facts.show_extension, "", f"{_OP}get:extensions/*"),
    Route("GET", "/v3/os-availability-zone", cloud_facts.list_zones, "", f"{_OP}get:os-availability-zone"),
    Route("GET", "/v3/resource_filters", cloud_facts.list_filters, "", f"{_OP}get:resource_filters", since="3.33"),
    Route("GET", "/v3/os-services", services.list_services, f"{_EXT}services:index", f"{_OP}get:os-services"),
    Route("PUT", "/v3/os-services/enable", services.enable_service, f"{_EXT}services:update",
          f"{_OP}put:os-services/enable", body=services.SWITCH),
    Route("PUT", "/v3/os-services/disable", services.disable_service, f"{_EXT}services:update",
          f"{_OP}put:os-services/disable", body=services.SWITCH),
    Route("PUT", "/v3/os-services/disable-log-reason", services.disable_with_reason, f"{_EXT}services:update",
          f"{_OP}put:os-services/disable-log-reason", body=services.DISABLE),
    Route("GET", "/v3/os-hosts", services.list_hosts, f"{_EXT}hosts", f"{_OP}get:os-hosts"),
    Route("GET", "/v3/os-hosts/{host_name}", services.show_host, f"{_EXT}hosts", f"{_OP}get:os-hosts/*"),
    Route("GET", "/v3/capabilities/{host_name}", services.show_capabilities, f"{_EXT}capabilities",
          f"{_OP}get:capabilities/*"),
    Route("GET", "/v3/scheduler-stats/get_pools", services.list_pools,
          "scheduler_extension:scheduler_stats:get_pools", f"{_OP}get:scheduler-stats/get_pools"),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *_DISCOVERY, *_VOLUMES, *_METADATA, *_ATTACHMENTS, *_ACTIONS, *_SNAPSHOTS, *_TYPES, *_QUOTAS, *_MESSAGES, *_FACTS,
)  # fmt: skip

API = Api(
    name="volume",
    routes=ROUTES,
    dress=dress,
    microversions=MICROVERSIONS,
    id_headers=("x-openstack-request-id", "x-compute-request-id"),
    vary=("OpenStack-API-Version",),
    project_segment=True,
    hosts=HOSTS,
)
