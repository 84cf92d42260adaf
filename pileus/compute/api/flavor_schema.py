"""What requests about flavors may hold. Source: Compute API reference, "Flavors"."""

from pileus.compute.api.paging import LIMIT, MARKER
from pileus.compute.app.flavors import SORT_KEYS
from pileus.compute.domain.flavor import MAX_SIZE
from pileus.foundation.http.schema import (
    Body,
    Field,
    Param,
    Query,
    Type,
    boolean,
    integer_or_digits,
    mapping,
    name,
    nullable,
    text,
    word,
)

_ID: Type = {"type": ["string", "number", "null"], "minLength": 1, "maxLength": 255,
             "pattern": r"^[a-zA-Z0-9._-]([a-zA-Z0-9. _-]*[a-zA-Z0-9._-])?$"}  # fmt: skip
_RXTX: Type = {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?$", "minimum": 0, "maximum": 3.40282e38}
_DESCRIPTION = nullable(text(0, 65535))

CREATE = Body(
    "flavor",
    Field("name", name(255), required=True),
    Field("id", _ID),
    Field("ram", integer_or_digits(1, MAX_SIZE), required=True),
    Field("vcpus", integer_or_digits(1, MAX_SIZE), required=True),
    Field("disk", integer_or_digits(0, MAX_SIZE), required=True),
    Field("OS-FLV-EXT-DATA:ephemeral", integer_or_digits(0, MAX_SIZE)),
    Field("swap", integer_or_digits(0, MAX_SIZE)),
    Field("rxtx_factor", _RXTX, until="2.101"),
    Field("os-flavor-access:is_public", boolean),
    Field("description", _DESCRIPTION, since="2.55"),
)
UPDATE = Body("flavor", Field("description", _DESCRIPTION, required=True))

_KEY = r"^[a-zA-Z0-9-_:. ]{1,255}$"
_VALUE: Type = {"type": ["string", "number"], "maxLength": 255}
EXTRA_SPECS = Body("extra_specs", value=mapping(_VALUE, _KEY))
EXTRA_SPEC = Body(None, value=mapping(_VALUE, _KEY, maximum=1))

ADD_ACCESS = Body("addTenantAccess", Field("tenant", text(1, 255), required=True))
REMOVE_ACCESS = Body("removeTenantAccess", Field("tenant", text(1, 255), required=True))

LIST = Query(
    LIMIT,
    MARKER,
    Param("is_public", text(0, 255), repeat=True),
    Param("minRam", text(0, 255), repeat=True),
    Param("minDisk", text(0, 255), repeat=True),
    Param("sort_key", word(*SORT_KEYS), repeat=True),
    Param("sort_dir", word("asc", "desc"), repeat=True),
    Param("name", text(0, 255), since="2.102", repeat=True),
    additional_until="2.74",
)
