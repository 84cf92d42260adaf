"""What bodies about volume types may say."""

from pileus.foundation.http.schema import (
    Body,
    Field,
    Param,
    Query,
    boolean,
    mapping,
    name,
    nullable,
    object_,
    text,
)
from pileus.volume.api.paging import LIMIT, MARKER, OFFSET

_SPEC_KEY = r"^[a-zA-Z0-9_:. -]{1,255}$"
specs = mapping(text(0, 255), key=_SPEC_KEY)

CREATE = Body(
    "volume_type",
    Field("name", name(255, spaces=True), required=True),
    Field("description", nullable(text(0, 255))),
    Field("extra_specs", nullable(specs)),
    Field("os-volume-type-access:is_public", nullable(boolean)),
)
UPDATE = Body(
    "volume_type",
    Field("name", nullable(name(255, spaces=True))),
    Field("description", nullable(text(0, 255))),
    Field("is_public", nullable(boolean)),
)
SPECS = Body("extra_specs", value=specs)
ONE_SPEC = Body(None, value=mapping(text(0, 255), key=_SPEC_KEY, maximum=1))
_access = object_(Field("project", text(1, 64), required=True))
ADD_ACCESS = Body("addProjectAccess", value=_access)
REMOVE_ACCESS = Body("removeProjectAccess", value=_access)

LIST = Query(
    LIMIT, MARKER, OFFSET, Param("is_public", text()), Param("sort", text()), Param("sort_key", text()),
    Param("sort_dir", text()), Param("extra_specs", text(), since="3.52"),
)  # fmt: skip
