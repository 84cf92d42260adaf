"""Every operation of block storage, as one table."""

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Handler, Route
from pileus.foundation.http.schema import Body
from pileus.volume.api import attachment_schema, attachments, discovery, volume_schema, volumes
from pileus.volume.api import volume_actions as actions
from pileus.volume.api.dress import dress
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
    _action("os-reset_status", actions.reset_status, f"{_ADMIN}reset_status", volume_schema.RESET_STATUS),
    _action("os-force_delete", actions.force_delete, f"{_ADMIN}force_delete", volume_schema.FORCE_DELETE),
    _action("os-force_detach", actions.detach_volume, f"{_ADMIN}force_detach", volume_schema.FORCE_DETACH),
    _action("os-reserve", actions.reserve, f"{_OLD}reserve", volume_schema.RESERVE),
    _action("os-unreserve", actions.unreserve, f"{_OLD}unreserve", volume_schema.UNRESERVE),
    _action("os-attach", actions.attach_volume, f"{_OLD}attach", volume_schema.ATTACH),
    _action("os-detach", actions.detach_volume, f"{_OLD}detach", volume_schema.DETACH),
    _action("os-begin_detaching", actions.begin_detaching, f"{_OLD}begin_detaching", volume_schema.BEGIN_DETACHING),
    _action("os-roll_detaching", actions.roll_detaching, f"{_OLD}roll_detaching", volume_schema.ROLL_DETACHING),
    _action("os-initialize_connection", actions.initialize_connection, f"{_OLD}initialize_connection",
            volume_schema.CONNECT, 200),
    _action("os-terminate_connection", actions.terminate_connection, f"{_OLD}terminate_connection",
            volume_schema.DISCONNECT),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (*_DISCOVERY, *_VOLUMES, *_ATTACHMENTS, *_ACTIONS)

API = Api(
    name="volume",
    routes=ROUTES,
    dress=dress,
    microversions=MICROVERSIONS,
    id_headers=("x-openstack-request-id", "x-compute-request-id"),
    vary=("OpenStack-API-Version",),
    project_segment=True,
)
