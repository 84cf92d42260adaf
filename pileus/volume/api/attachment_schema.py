"""What bodies about attachments may say."""

from pileus.foundation.http.schema import Body, Field, Param, Query, any_json, nullable, object_, text, uuid, word
from pileus.volume.api.paging import LIMIT, MARKER, OFFSET

connector = object_(additional=True)

CREATE = Body(
    "attachment",
    Field("volume_uuid", uuid, required=True),
    Field("instance_uuid", nullable(uuid)),
    Field("connector", nullable(connector)),
    Field("mode", word("rw", "ro"), since="3.54"),
    additional=True,
)
UPDATE = Body("attachment", Field("connector", connector, required=True), additional=True)
COMPLETE = Body("os-complete", value=any_json)  # clients send {}, null, or the id

LIST = Query(LIMIT, MARKER, OFFSET, Param("instance_id", text()), Param("volume_id", text()), Param("status", text()))
