"""What a client may say of an image, as schemas, and the schema documents that the API shows of it."""

from typing import Any

from pileus.foundation.http.schema import (
    Body,
    Field,
    Param,
    Query,
    any_json,
    array,
    digits,
    integer,
    nullable,
    object_,
    strict_boolean,
    text,
    word,
)
from pileus.image.domain.image import CONTAINER_FORMATS, DISK_FORMATS, MEMBER_STATUSES, VISIBILITIES
from pileus.image.domain.listing import SORT_KEYS

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
MOST = 2**31 - 1

# What the service alone writes; whoever tries is told that it is read-only (403), whatever the value.
READ_ONLY = (
    "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
    "os_hash_algo", "os_hash_value", "stores",
)  # fmt: skip
RESERVED = ("location", "deleted", "deleted_at", "locations")

CREATE = Body(
    None,
    Field("id", text(36, 36, UUID)),
    Field("name", nullable(text(0, 255))),
    Field("visibility", word(*VISIBILITIES)),
    Field("protected", strict_boolean),
    Field("os_hidden", strict_boolean),
    Field("owner", nullable(text(0, 255))),
    Field("container_format", nullable(word(*CONTAINER_FORMATS))),
    Field("disk_format", nullable(word(*DISK_FORMATS))),
    Field("tags", array(text(0, 255))),
    Field("min_ram", integer(0, MOST)),
    Field("min_disk", integer(0, MOST)),
    *(Field(name, any_json) for name in (*READ_ONLY, *RESERVED)),
    constraints={"additionalProperties": text(0, 65_535)},
)
"""A new image; whatever is not declared is a property of the user's own, and a text."""

PATCH = Body(None, value=array(object_(additional=True)))
"""A list of operations; which words they have depends on the media type, and each value is judged by `CREATE`."""

ADD_MEMBER = Body(None, Field("member", text(1, 255), required=True), additional=True)
ANSWER = Body(None, Field("status", word(*MEMBER_STATUSES), required=True), additional=True)

IMPORT = Body(
    None,
    Field(
        "method",
        object_(Field("name", text(1, 255), required=True), Field("uri", text(0, 4096)), additional=True),
        required=True,
    ),
    Field("stores", array(text(1, 255))),
    Field("all_stores", strict_boolean),
    Field("all_stores_must_succeed", strict_boolean),
    additional=True,
)

LIST = Query(
    Param("limit", digits(0)),
    Param("marker", text(1, 255)),
    Param("sort", text(1)),
    Param("sort_key", word(*SORT_KEYS), repeat=True),
    Param("sort_dir", word("asc", "desc"), repeat=True),
    Param("visibility", word(*VISIBILITIES, "all")),
    Param("member_status", word(*MEMBER_STATUSES, "all")),
    Param("tag", text(), repeat=True),
    Param("os_hidden", word("true", "false", "True", "False", "TRUE", "FALSE")),
    Param("protected", word("true", "false", "True", "False", "TRUE", "FALSE")),
)
"""Whatever is not declared is compared with the image's attribute or property of that name."""

_TEXT = {"type": "string"}
_READ_ONLY_TEXT = {"type": "string", "readOnly": True}
_STATUSES = (
    "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated",
)  # fmt: skip

IMAGE_PROPERTIES: dict[str, Any] = {
    "id": {**_TEXT, "description": "An identifier for the image", "pattern": UUID},
    "name": {"type": ["null", "string"], "description": "Descriptive name for the image", "maxLength": 255},
    "status": {**_READ_ONLY_TEXT, "description": "Status of the image", "enum": _STATUSES},
    "visibility": {**_TEXT, "description": "Scope of image accessibility", "enum": VISIBILITIES},
    "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
    "os_hidden": {
        "type": "boolean",
        "description": "If true, image will not appear in default image list response.",
    },
    "checksum": {
        "type": ["null", "string"], "readOnly": True, "description": "md5 hash of image contents.", "maxLength": 32,
    },
    "os_hash_algo": {
        "type": ["null", "string"], "readOnly": True, "description": "Algorithm to calculate the os_hash_value",
        "maxLength": 64,
    },
    "os_hash_value": {
        "type": ["null", "string"], "readOnly": True,
        "description": "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
        "maxLength": 128,
    },
    "owner": {"type": ["null", "string"], "description": "Owner of the image", "maxLength": 255},
    "size": {"type": ["null", "integer"], "readOnly": True, "description": "Size of image file in bytes"},
    "virtual_size": {"type": ["null", "integer"], "readOnly": True, "description": "Virtual size of image in bytes"},
    "container_format": {
        "type": ["null", "string"], "description": "Format of the container", "enum": [None, *CONTAINER_FORMATS],
    },
    "disk_format": {"type": ["null", "string"], "description": "Format of the disk", "enum": [None, *DISK_FORMATS]},
    "created_at": {**_READ_ONLY_TEXT, "description": "Date and time of image registration"},
    "updated_at": {**_READ_ONLY_TEXT, "description": "Date and time of the last image modification"},
    "tags": {
        "type": "array", "description": "List of strings related to the image",
        "items": {"type": "string", "maxLength": 255},
    },
    "direct_url": {**_READ_ONLY_TEXT, "description": "URL to access the image file kept in external store"},
    "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
    "min_disk": {"type": "integer", "description": "Amount of disk space (in GB) required to boot image."},
    "self": {**_READ_ONLY_TEXT, "description": "An image self url"},
    "file": {**_READ_ONLY_TEXT, "description": "An image file url"},
    "stores": {
        **_READ_ONLY_TEXT,
        "description": "Store in which image data resides.  Only present when the operator has enabled multiple "
        "stores.  May be a comma-separated list of store identifiers.",
    },
    "schema": {**_READ_ONLY_TEXT, "description": "An image schema url"},
}  # fmt: skip

MEMBER_PROPERTIES: dict[str, Any] = {
    "member_id": {**_TEXT, "description": "An identifier for the image member (tenantId)"},
    "image_id": {**_TEXT, "description": "An identifier for the image", "pattern": UUID},
    "created_at": {**_TEXT, "description": "Date and time of image member creation"},
    "updated_at": {**_TEXT, "description": "Date and time of last modification of image member"},
    "status": {**_TEXT, "description": "The status of this image member", "enum": MEMBER_STATUSES},
    "schema": {**_READ_ONLY_TEXT},
}

IMAGE_DOCUMENT: dict[str, Any] = {
    "name": "image",
    "properties": IMAGE_PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
MEMBER_DOCUMENT: dict[str, Any] = {"name": "member", "properties": MEMBER_PROPERTIES}


def _collection(name: str, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, **more, "schema": {"type": "string"}},
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }


IMAGES_DOCUMENT = _collection("images", IMAGE_DOCUMENT, first={"type": "string"}, next={"type": "string"}) | {
    "links": [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
}
MEMBERS_DOCUMENT = _collection("members", MEMBER_DOCUMENT)
