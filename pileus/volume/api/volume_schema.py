"""What bodies about volumes may say."""

from pileus.foundation.http.schema import (
    Body,
    Field,
    Param,
    Query,
    any_json,
    boolean,
    integer_or_digits,
    mapping,
    nullable,
    object_,
    text,
    uuid,
    word,
)
from pileus.volume.api.paging import LIMIT, MARKER, OFFSET

MOST_GIB = 0x7FFFFFFF

name = nullable(text(0, 255))
metadata = mapping(text(0, 255), key=r"^[^\x00]{1,255}$")

CREATE = Body(
    "volume",
    Field("name", name),
    Field("display_name", name),
    Field("description", name),
    Field("display_description", name),
    Field("volume_type", nullable(text(0, 255))),
    Field("metadata", nullable(metadata)),
    Field("snapshot_id", nullable(uuid)),
    Field("source_volid", nullable(uuid)),
    Field("consistencygroup_id", nullable(uuid)),
    Field("size", nullable(integer_or_digits(1, MOST_GIB))),
    Field("availability_zone", nullable(text(1, 255))),
    Field("multiattach", nullable(boolean)),
    Field("image_id", nullable(text(0, 255))),
    Field("imageRef", nullable(text(0, 255))),
    Field("scheduler_hints", any_json),
    Field("backup_id", nullable(uuid), since="3.47"),
    Field("group_id", nullable(uuid), since="3.13"),
    additional_until="3.52",
    beside=(Field("OS-SCH-HNT:scheduler_hints", any_json),),
    additional_beside=True,
)

_CHANGES = (
    Field("name", name),
    Field("display_name", name),
    Field("description", name),
    Field("display_description", name),
    Field("metadata", nullable(metadata)),
)
UPDATE_OLD = Body("volume", *_CHANGES, additional=True)
UPDATE = Body("volume", *_CHANGES, at_least=1)

METADATA = Body("metadata", value=metadata)
ONE_METADATA = Body("meta", value=mapping(text(0, 255), maximum=1))

EXTEND = Body("os-extend", Field("new_size", integer_or_digits(1, MOST_GIB), required=True))
SET_BOOTABLE = Body("os-set_bootable", Field("bootable", boolean, required=True))
SET_READ_ONLY = Body("os-update_readonly_flag", Field("readonly", boolean, required=True))
RETYPE = Body(
    "os-retype",
    Field("new_type", text(1, 255), required=True),
    Field("migration_policy", nullable(word("on-demand", "never"))),
)
RESET_STATUS = Body(
    "os-reset_status", Field("status", nullable(text(1, 64))), Field("attach_status", nullable(text(1, 64))),
    Field("migration_status", nullable(text(0, 64))),
)  # fmt: skip
_anything = any_json  # clients send {}, null, or what they like
FORCE_DELETE = Body("os-force_delete", value=_anything)
RESERVE = Body("os-reserve", value=_anything)
UNRESERVE = Body("os-unreserve", value=_anything)
BEGIN_DETACHING = Body("os-begin_detaching", value=_anything)
ROLL_DETACHING = Body("os-roll_detaching", value=_anything)
ATTACH = Body(
    "os-attach",
    Field("instance_uuid", nullable(uuid)),
    Field("host_name", nullable(text(1, 255))),
    Field("mountpoint", text(1, 255), required=True),
    Field("mode", nullable(text(0, 255))),
)
DETACH = Body("os-detach", value=nullable(object_(Field("attachment_id", nullable(uuid)), additional=True)))
connector = object_(additional=True)
FORCE_DETACH = Body(
    "os-force_detach",
    Field("attachment_id", nullable(uuid)),
    Field("connector", nullable(connector)),
)
CONNECT = Body("os-initialize_connection", Field("connector", connector, required=True))
DISCONNECT = Body("os-terminate_connection", Field("connector", connector, required=True))
SHOW_IMAGE_METADATA = Body("os-show_image_metadata", value=_anything)
SET_IMAGE_METADATA = Body("os-set_image_metadata", Field("metadata", metadata, required=True))
UNSET_IMAGE_METADATA = Body("os-unset_image_metadata", Field("key", text(1, 255), required=True))

LIST = Query(LIMIT, MARKER, OFFSET, Param("sort", text()), Param("sort_key", text()), Param("sort_dir", text()))
