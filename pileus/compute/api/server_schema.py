"""What requests about servers may hold, field by field, each with the microversions that know it.

Source: Compute API reference, "Servers" and "Servers - run an action".
"""

from pileus.compute.api.paging import LARGEST
from pileus.foundation.http.schema import (
    Body,
    Field,
    Type,
    any_json,
    array,
    boolean,
    either,
    integer_or_digits,
    ip,
    ipv4,
    ipv6,
    mapping,
    name,
    null,
    nullable,
    object_,
    text,
    uuid,
    word,
)

MOST_SERVERS = 1000
"""How many one request may launch: without a quota, somebody must say."""

SERVER_NAME = name(255)
HOST_LABEL = text(2, 63, r"^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$")
HOST_NAME = text(2, 255, r"^[a-zA-Z0-9]+[a-zA-Z0-9-.]*[a-zA-Z0-9]+$")
DESCRIPTION = nullable(text(0, 255))
_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"
METADATA = mapping(text(0, 255), _KEY)
DISK_CONFIG = word("AUTO", "MANUAL")
TAG = text(1, 60, "^[^,/]*$")
TAGS = array(TAG, 0, 50, unique=True)
CERTIFICATES: Type = either(null, array(text(1, 255), 1, 50, unique=True))
FILES = array(object_(Field("path", text(1), required=True), Field("contents", text(), required=True)))
USER_DATA = text(0, 65535)
IMAGE_REF: Type = either(uuid, word(""))
FLAVOR_REF: Type = {"type": ["string", "integer"], "minLength": 1, "minimum": 0}
PASSWORD = text()


def _tag() -> tuple[Field, ...]:
    """The tag of a network or block device: known at 2.32, lost by mistake, back at 2.42."""
    return (Field("tag", TAG, since="2.32", until="2.32"), Field("tag", TAG, since="2.42"))


NETWORK = object_(
    Field("uuid", text(1, 255), until="2.36"),
    Field("uuid", uuid, since="2.37"),
    Field("port", nullable(uuid)),
    Field("fixed_ip", ip),
    *_tag(),
)

_DEVICE = (
    Field("virtual_name", text(0, 255)),
    Field("volume_id", uuid),
    Field("snapshot_id", uuid),
    Field("volume_size", either(integer_or_digits(1, LARGEST), word(""))),
    Field("device_name", text(1, 255, r"^[a-zA-Z0-9._\-/]*$")),
    Field("delete_on_termination", boolean),
    Field("no_device", any_json),
    Field("connection_info", text()),
)
DEVICE_V1 = object_(*_DEVICE)
DEVICE_V2 = object_(
    *_DEVICE,
    Field("source_type", word("volume", "image", "snapshot", "blank")),
    Field("uuid", text(1, 255, r"^[a-zA-Z0-9._-]*$")),
    Field("image_id", text(1, 255, r"^[a-zA-Z0-9._-]*$")),
    Field("destination_type", word("local", "volume")),
    Field("guest_format", text(0, 255)),
    Field("device_type", text(0, 255)),
    Field("disk_bus", text(0, 255)),
    Field("boot_index", {"type": ["integer", "string", "null"]}),
    *_tag(),
    Field("volume_type", nullable(text(0, 255)), since="2.67"),
)

_HINT_SERVERS: Type = either(text(), array(text()))
HINTS = object_(
    Field("group", uuid),
    Field("different_host", _HINT_SERVERS),
    Field("same_host", _HINT_SERVERS),
    Field("query", either(text(), object_(additional=True))),
    Field("target_cell", text()),
    Field("different_cell", _HINT_SERVERS),
    Field("build_near_host_ip", ip),
    Field("cidr", text(pattern=r"^/[0-9a-f.:]+$")),
    additional=True,
)

CREATE = Body(
    "server",
    Field("name", SERVER_NAME, required=True),
    Field("flavorRef", FLAVOR_REF, required=True),
    Field("imageRef", IMAGE_REF),
    Field("adminPass", PASSWORD),
    Field("metadata", METADATA),
    Field("networks", array(NETWORK), until="2.36"),
    Field("networks", either(array(NETWORK), word("none", "auto")), since="2.37", required=True),
    Field("OS-DCF:diskConfig", DISK_CONFIG),
    Field("accessIPv4", ipv4),
    Field("accessIPv6", ipv6),
    Field("personality", FILES, until="2.56"),
    Field("availability_zone", name(255)),
    Field("block_device_mapping", array(DEVICE_V1)),
    Field("block_device_mapping_v2", array(DEVICE_V2)),
    Field("config_drive", boolean),
    Field("key_name", name(255)),
    Field("min_count", integer_or_digits(1, MOST_SERVERS)),
    Field("max_count", integer_or_digits(1, MOST_SERVERS)),
    Field("return_reservation_id", boolean),
    Field("security_groups", array(object_(Field("name", text(1, 255))))),
    Field("user_data", USER_DATA),
    Field("description", DESCRIPTION, since="2.19"),
    Field("tags", TAGS, since="2.52"),
    Field("trusted_image_certificates", CERTIFICATES, since="2.63"),
    Field("host", text(1, 255), since="2.74"),
    Field("hypervisor_hostname", text(1, 255), since="2.74"),
    Field("hostname", HOST_LABEL, since="2.90", until="2.93"),
    Field("hostname", HOST_NAME, since="2.94"),
    beside=(Field("os:scheduler_hints", HINTS), Field("OS-SCH-HNT:scheduler_hints", HINTS)),
)

UPDATE = Body(
    "server",
    Field("name", SERVER_NAME),
    Field("OS-DCF:diskConfig", DISK_CONFIG),
    Field("accessIPv4", ipv4),
    Field("accessIPv6", ipv6),
    Field("description", DESCRIPTION, since="2.19"),
    Field("hostname", HOST_LABEL, since="2.90", until="2.93"),
    Field("hostname", HOST_NAME, since="2.94"),
    Field("pinned_availability_zone", nullable(text(1, 255)), since="2.104"),
)

REBUILD = Body(
    "rebuild",
    Field("imageRef", uuid, required=True),
    Field("adminPass", PASSWORD),
    Field("name", SERVER_NAME),
    Field("preserve_ephemeral", boolean),
    Field("metadata", METADATA),
    Field("OS-DCF:diskConfig", DISK_CONFIG),
    Field("accessIPv4", ipv4),
    Field("accessIPv6", ipv6),
    Field("personality", FILES, until="2.56"),
    Field("description", DESCRIPTION, since="2.19"),
    Field("key_name", nullable(name(255)), since="2.54"),
    Field("user_data", nullable(USER_DATA), since="2.57"),
    Field("trusted_image_certificates", CERTIFICATES, since="2.63"),
    Field("hostname", HOST_LABEL, since="2.90", until="2.93"),
    Field("hostname", HOST_NAME, since="2.94"),
)

REBOOT = Body("reboot", Field("type", word("HARD", "Hard", "hard", "SOFT", "Soft", "soft"), required=True))
CREATE_IMAGE = Body("createImage", Field("name", name(255), required=True), Field("metadata", METADATA))
CONSOLE_OUTPUT = Body("os-getConsoleOutput", Field("length", nullable(integer_or_digits(-1, LARGEST))))
CHANGE_PASSWORD = Body("changePassword", Field("adminPass", PASSWORD, required=True))
RESET_STATE = Body("os-resetState", Field("state", word("active", "error"), required=True))
LOCK = Body("lock", value=either(null, object_(Field("locked_reason", text(1, 255), since="2.73"))))
ADD_SECURITY_GROUP = Body("addSecurityGroup", Field("name", text(1, 255), required=True))
REMOVE_SECURITY_GROUP = Body("removeSecurityGroup", Field("name", text(1, 255), required=True))

METADATA_ITEMS = Body("metadata", value=METADATA)
METADATA_ITEM = Body("meta", value=mapping(text(0, 255), _KEY, maximum=1))
ALL_TAGS = Body("tags", value=TAGS)

ATTACH_VOLUME = Body(
    "volumeAttachment",
    Field("volumeId", uuid, required=True),
    Field("device", nullable(text(1, 255, r"(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$"))),
    Field("tag", TAG, since="2.49"),
    Field("delete_on_termination", boolean, since="2.79"),
)
UPDATE_VOLUME = Body(
    "volumeAttachment",
    Field("volumeId", uuid, required=True),
    Field("device", nullable(text(1, 255)), since="2.85"),
    Field("tag", TAG, since="2.85"),
    Field("delete_on_termination", boolean, since="2.85"),
    Field("serverId", uuid, since="2.85"),
    Field("id", uuid, since="2.85"),
)
ATTACH_INTERFACE = Body(
    "interfaceAttachment",
    Field("net_id", uuid),
    Field("port_id", uuid),
    Field("fixed_ips", array(object_(Field("ip_address", ip, required=True)), 1, 1)),
    Field("tag", TAG, since="2.49"),
)
REMOTE_CONSOLE = Body(
    "remote_console",
    Field("protocol", word("vnc", "spice", "rdp", "serial"), required=True, until="2.7"),
    Field("protocol", word("vnc", "spice", "rdp", "serial", "mks"), required=True, since="2.8"),
    Field("type", word("novnc", "xvpvnc", "spice-html5", "rdp-html5", "serial"), required=True, until="2.7"),
    Field(
        "type",
        word("novnc", "xvpvnc", "spice-html5", "rdp-html5", "serial", "webmks"),
        required=True,
        since="2.8",
        until="2.98",
    ),
    Field(
        "type",
        word("novnc", "xvpvnc", "spice-html5", "spice-direct", "rdp-html5", "serial", "webmks"),
        required=True,
        since="2.99",
    ),
)


def plain_action(word_: str) -> Body:
    """An action that takes nothing; clients send null, an empty object or a text."""
    return Body(word_, value=any_json)
