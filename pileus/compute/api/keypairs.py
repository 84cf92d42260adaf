"""Keypairs over HTTP. The private key of a generated pair is in the answer that made it, and nowhere else."""

import re
from typing import Any

from pileus.compute.api.paging import LIMIT, MARKER, limit_of, marker_of, next_page
from pileus.compute.app import keypairs
from pileus.compute.domain.errors import KeypairInvalid
from pileus.compute.domain.keypair import Keypair
from pileus.compute.domain.moments import to_micros
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import Body, Field, Param, Query, name, text, word
from pileus.foundation.http.versions import Version

_PUBLIC_KEY = text(0, 16384)
CREATE = Body(
    "keypair",
    Field("name", name(255), required=True),
    Field("type", word("ssh", "x509"), since="2.2"),
    Field("user_id", text(1, 255), since="2.10"),
    Field("public_key", _PUBLIC_KEY, until="2.91"),
    Field("public_key", _PUBLIC_KEY, required=True, since="2.92"),
)
_USER = Param("user_id", text(), since="2.10", repeat=True)
LIST = Query(
    _USER,
    Param(LIMIT.name, LIMIT.type, since="2.35", repeat=True),
    Param(MARKER.name, MARKER.type, since="2.35", repeat=True),
    additional_until="2.74",
)
ONE = Query(_USER, additional_until="2.74")

_SAFE = re.compile(r"[A-Za-z0-9 _-]+")
_SAFE_LATER = re.compile(r"[A-Za-z0-9 _@.-]+")


def _user(request: Request[Compute]) -> str:
    """Whose keypairs: the caller's own; administrators may name others. Raises: NotAllowed (403)."""
    asked = request.first("user_id") if request.version >= (2, 10) else None
    user_id = asked or request.context.user_id
    request.authorize({"user_id": user_id})
    return user_id


async def list_keypairs(request: Request[Compute]) -> Response:
    user_id = _user(request)
    paged = request.version >= (2, 35)
    found = await keypairs.listed(
        request.service, user_id, limit=limit_of(request), marker=marker_of(request) if paged else None
    )
    document: dict[str, Any] = {"keypairs": [{"keypair": _brief(one, request.version)} for one in found]}
    pages = next_page(request, "/os-keypairs", found, found[-1].name if found else "") if paged else None
    if pages:
        document["keypairs_links"] = pages
    return answer(document)


async def show_keypair(request: Request[Compute]) -> Response:
    found = await keypairs.get(request.service, _user(request), request.params["keypair_name"])
    shown = _brief(found, request.version) | {
        "user_id": found.user_id,
        "created_at": to_micros(found.created_at),
        "deleted": False,
        "deleted_at": None,
        "id": found.number,
        "updated_at": None,
    }
    return answer({"keypair": shown})


async def create_keypair(request: Request[Compute]) -> Response:
    """Imports the public key of the body; without one, before 2.92, makes a pair."""
    body = request.body["keypair"]
    user_id = body.get("user_id") or request.context.user_id
    request.authorize({"user_id": user_id})
    _check_name(body["name"], request.version)
    context, wanted = request.context, {"user_id": user_id, "name": body["name"], "key_type": body.get("type", "ssh")}
    private_key = None
    if "public_key" in body:
        made = await keypairs.add(request.service, context, public_key=body["public_key"], **wanted)
    else:
        made, private_key = await keypairs.generate(request.service, context, **wanted)
    shown = _brief(made, request.version) | {"user_id": made.user_id}
    if private_key is not None:
        shown["private_key"] = private_key
    return answer({"keypair": shown}, 201 if request.version >= (2, 2) else 200)


def _check_name(name_: str, version: Version) -> None:
    safe = _SAFE_LATER if version >= (2, 92) else _SAFE
    if not safe.fullmatch(name_):
        raise KeypairInvalid(reason="Keypair name contains unsafe characters")


async def delete_keypair(request: Request[Compute]) -> Response:
    await keypairs.delete(request.service, _user(request), request.params["keypair_name"])
    return empty(204 if request.version >= (2, 2) else 202)


def _brief(keypair: Keypair, version: Version) -> dict[str, Any]:
    found = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    return found if version < (2, 2) else {"type": keypair.type, **found}
