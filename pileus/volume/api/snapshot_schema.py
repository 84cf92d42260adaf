"""What bodies about snapshots may say."""

from pileus.foundation.http.schema import Body, Field, any_json, boolean, nullable, text, uuid
from pileus.volume.api.volume_schema import metadata, name

CREATE = Body(
    "snapshot",
    Field("volume_id", nullable(uuid), required=True),
    Field("name", name),
    Field("description", name),
    Field("display_name", name),
    Field("display_description", name),
    Field("metadata", nullable(metadata)),
    Field("force", nullable(boolean)),
    additional=True,
)
UPDATE = Body(
    "snapshot",
    Field("name", name),
    Field("description", name),
    Field("display_name", name),
    Field("display_description", name),
    at_least=1,
)
RESET_STATUS = Body("os-reset_status", Field("status", text(1, 64), required=True))
FORCE_DELETE = Body("os-force_delete", value=any_json)
