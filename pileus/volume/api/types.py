"""Volume types on the wire."""

from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import is_true
from pileus.volume.api.paging import limit_of, marker_of, next_page, offset_of
from pileus.volume.api.volume_filters import read_mapping, read_sort
from pileus.volume.app import types
from pileus.volume.domain.errors import MarkerNotFound
from pileus.volume.domain.volume_type import DEFAULT_TYPE_ID, SPECS_FOR_ALL, VolumeType
from pileus.volume.service import VolumeService

SPECS_RULE = "volume_extension:types_extra_specs:create"
QOS_RULE = "volume_extension:access_types_qos_specs_id"
_SORTABLE = frozenset({"id", "name", "created_at", "updated_at", "description"})


async def _find(request: Request[VolumeService]) -> VolumeType:
    """The type that the path names. Raises: TypeNotFound (404)."""
    return await types.get(request.service, request.context, request.params["type_id"])


def _view(request: Request[VolumeService], kind: VolumeType) -> dict[str, Any]:
    """A type as show and list answer it."""
    document = _new(request, kind)
    if request.may(QOS_RULE, {}):
        document["qos_specs_id"] = None
    return document


def _new(request: Request[VolumeService], kind: VolumeType) -> dict[str, Any]:
    """A type as create answers it."""
    return {**_brief(request, kind), "os-volume-type-access:is_public": kind.is_public}


def _brief(request: Request[VolumeService], kind: VolumeType) -> dict[str, Any]:
    """A type as update answers it; what tells of the back end is for administrators."""
    is_admin = request.may(SPECS_RULE, {})
    return {
        "id": kind.id,
        "name": kind.name,
        "is_public": kind.is_public,
        "description": kind.description,
        "extra_specs": kind.specs if is_admin else _open_specs(kind),
    }


def _open_specs(kind: VolumeType) -> dict[str, str]:
    return {key: value for key, value in kind.specs.items() if key in SPECS_FOR_ALL}


async def list_types(request: Request[VolumeService]) -> Response:
    wanted = read_mapping(request.first("extra_specs"), "extra_specs") if request.version >= (3, 52) else {}
    found = await types.visible(request.service, request.context, is_public=_is_public(request))
    seen = SPECS_FOR_ALL if not request.may(SPECS_RULE, {}) else None
    fitting = [
        kind for kind in found
        if all(kind.specs.get(key) == value and (seen is None or key in seen) for key, value in wanted.items())
    ]  # fmt: skip
    page = _page(request, fitting)
    document: dict[str, Any] = {"volume_types": [_view(request, kind) for kind in page]}
    links = next_page(request, "/types", page, page[-1].id if page else "")
    if links is not None:
        document["volume_type_links"] = links
    return answer(document)


def _is_public(request: Request[VolumeService]) -> bool | None:
    """Administrators see public types, or with is_public=none all; others all they may use."""
    if not request.context.is_admin:
        return None
    asked = request.first("is_public")
    if asked is None:
        return True
    if asked.lower() == "none":
        return None
    if asked.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"):
        raise BadRequest(f"Invalid is_public filter [{asked}]")
    return is_true(asked.lower()) or asked.lower() in ("t", "y")


def _page(request: Request[VolumeService], found: list[VolumeType]) -> list[VolumeType]:
    """One page in the order asked for; types are few. Raises: MarkerNotFound (404)."""
    for key, way in reversed(read_sort(request, _SORTABLE)):
        found = sorted(found, key=lambda kind: _rank(getattr(kind, key)), reverse=way == "desc")
    marker = marker_of(request)
    if marker is not None:
        at = next((number for number, kind in enumerate(found) if kind.id == marker), None)
        if at is None:
            raise MarkerNotFound(marker=marker)
        found = found[at + 1 :]
    return found[offset_of(request) :][: limit_of(request)]


def _rank(value: Any) -> tuple[bool, Any]:
    """What is not set comes before everything else."""
    return value is not None, value


async def show_type(request: Request[VolumeService]) -> Response:
    return answer({"volume_type": _view(request, await _find(request))})


async def show_default_type(request: Request[VolumeService]) -> Response:
    """The type of volumes that name none."""
    return answer({"volume_type": _view(request, await types.get(request.service, request.context, DEFAULT_TYPE_ID))})


async def create_type(request: Request[VolumeService]) -> Response:
    asked, runtime = request.body["volume_type"], request.service.runtime
    is_public = asked.get("os-volume-type-access:is_public")
    kind = VolumeType(
        id=runtime.uuid(), name=asked["name"].strip(), description=asked.get("description"),
        is_public=is_public is None or is_true(is_public), specs=asked.get("extra_specs") or {},
        created_at=runtime.now(),
    )  # fmt: skip
    return answer({"volume_type": _new(request, await types.create(request.service, kind))})


async def update_type(request: Request[VolumeService]) -> Response:
    kind, asked = await _find(request), request.body["volume_type"]
    facts: dict[str, object] = {}
    if asked.get("name") is not None:
        facts["name"] = asked["name"].strip()
    if "description" in asked:
        facts["description"] = asked["description"]
    if asked.get("is_public") is not None:
        facts["is_public"] = is_true(asked["is_public"])
    if not facts:
        raise BadRequest("Specify volume type name, description, is_public or a combination thereof.")
    return answer({"volume_type": _brief(request, await types.update(request.service, kind, facts))})


async def delete_type(request: Request[VolumeService]) -> Response:
    await types.delete(request.service, await _find(request))
    return empty(202)


async def show_encryption(request: Request[VolumeService]) -> Response:
    """No type encrypts here."""
    await _find(request)
    return answer({})


# -- extra specs --------------------------------------------------------------------------------------------------
async def list_specs(request: Request[VolumeService]) -> Response:
    kind = await _find(request)
    return answer({"extra_specs": kind.specs if request.may(SPECS_RULE, {}) else _open_specs(kind)})


async def show_spec(request: Request[VolumeService]) -> Response:
    kind, key = await _find(request), request.params["key"]
    is_hidden = key not in SPECS_FOR_ALL and not request.may(SPECS_RULE, {})
    value = types.get_spec(kind, "" if is_hidden else key)
    return answer({key: value})


async def create_specs(request: Request[VolumeService]) -> Response:
    specs = request.body["extra_specs"]
    await types.set_specs(request.service, await _find(request), specs)
    return answer({"extra_specs": specs})


async def update_spec(request: Request[VolumeService]) -> Response:
    key = request.params["key"]
    if list(request.body) != [key]:
        raise BadRequest("Request body and URI mismatch")
    await types.set_specs(request.service, await _find(request), request.body)
    return answer(request.body)


async def delete_spec(request: Request[VolumeService]) -> Response:
    await types.drop_spec(request.service, await _find(request), request.params["key"])
    return empty(202)


# -- who may use a private type -----------------------------------------------------------------------------------
async def list_access(request: Request[VolumeService]) -> Response:
    kind = await _find(request)
    found = await types.projects(request.service, kind)
    return answer({"volume_type_access": [{"volume_type_id": kind.id, "project_id": one} for one in found]})


async def add_access(request: Request[VolumeService]) -> Response:
    project_id = request.body["addProjectAccess"]["project"]
    await types.give_access(request.service, await _find(request), project_id)
    return empty(202)


async def remove_access(request: Request[VolumeService]) -> Response:
    project_id = request.body["removeProjectAccess"]["project"]
    await types.take_access(request.service, await _find(request), project_id)
    return empty(202)
