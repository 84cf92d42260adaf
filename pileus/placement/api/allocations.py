"""Allocations over HTTP: what consumers hold, and the claims that change it."""

from collections.abc import Mapping
from typing import Any

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.request import Request, Response, answer, empty
from pileus.foundation.http.schema import (
    Body,
    Field,
    array,
    integer,
    mapping,
    nullable,
    object_,
    text,
    uuid,
)
from pileus.foundation.http.versions import Version
from pileus.placement.api.inventories import GENERATION
from pileus.placement.api.providers import provider_id
from pileus.placement.api.shown import stamp
from pileus.placement.app import allocations
from pileus.placement.domain.claim import INCOMPLETE, UNKNOWN_TYPE, Claim, Consumer
from pileus.placement.domain.filters import is_uuid
from pileus.placement.domain.inventory import MAX_INT
from pileus.placement.domain.resource_class import NAME
from pileus.placement.service import Placement

UUID_KEY = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
SUFFIX_KEY = "^([a-zA-Z0-9_-]{1,64})?$"

_RESOURCES = mapping(integer(1, MAX_INT), NAME) | {"minProperties": 1}  # type: ignore[operator]
_OLD = array(
    object_(
        Field("resource_provider", object_(Field("uuid", uuid, required=True)), required=True),
        Field("resources", _RESOURCES, required=True),
    ),
    minimum=1,
)
_HELD = object_(
    Field("resources", _RESOURCES, required=True),
    Field("generation", GENERATION),  # of the provider, as GET shows it: taken, and of no meaning
)
_SOME = object_(Field(UUID_KEY, _HELD, pattern=True), at_least=1)
_ANY = object_(Field(UUID_KEY, _HELD, pattern=True))
_OWNER = (
    Field("project_id", text(1, 255), required=True, since="1.8"),
    Field("user_id", text(1, 255), required=True, since="1.8"),
    Field("consumer_generation", nullable(GENERATION), required=True, since="1.28"),
    Field("mappings", mapping(array(uuid, minimum=1), SUFFIX_KEY) | {"minProperties": 1}, since="1.34"),  # type: ignore[operator]
    Field("consumer_type", text(1, 255, NAME), required=True, since="1.38"),
)
UPDATE = Body(
    None,
    Field("allocations", _OLD, required=True, until="1.11"),
    Field("allocations", _SOME, required=True, since="1.12", until="1.27"),
    Field("allocations", _ANY, required=True, since="1.28"),
    *_OWNER,
)
OF_CONSUMER = object_(Field("allocations", _ANY, required=True), *_OWNER)
MANAGE = Body(None, Field(UUID_KEY, OF_CONSUMER, pattern=True), at_least=1)


class MalformedConsumer(BadRequest):
    message = "Malformed consumer_uuid: {uuid}"


async def list_allocations(request: Request[Placement]) -> Response:
    consumer, held = await allocations.get(request.service, request.params["consumer_uuid"])
    document: dict[str, Any] = {
        "allocations": {
            provider: {"resources": each.amounts, "generation": each.generation} for provider, each in held.items()
        }
    }
    if consumer is None:
        return answer(document, headers=stamp(request))
    if request.version >= (1, 12):
        document |= _owner(consumer, request.version)
    return answer(document, headers=stamp(request, consumer.updated_at))


async def list_provider_allocations(request: Request[Placement]) -> Response:
    generation, found = await allocations.of_provider(request.service, provider_id(request))
    document = {
        "allocations": {consumer.uuid: _of_provider(consumer, amounts, request.version) for consumer, amounts in found},
        "resource_provider_generation": generation,
    }
    latest = max((consumer.updated_at for consumer, _ in found), default=0)
    return answer(document, headers=stamp(request, latest))


def _of_provider(consumer: Consumer, amounts: Mapping[str, int], version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {"resources": amounts}
    if version >= (1, 28):
        shown["consumer_generation"] = consumer.generation
    return shown


def _owner(consumer: Consumer, version: Version) -> dict[str, Any]:
    shown: dict[str, Any] = {"project_id": consumer.project_id, "user_id": consumer.user_id}
    if version >= (1, 28):
        shown["consumer_generation"] = consumer.generation
    if version >= (1, 38):
        shown["consumer_type"] = consumer.type or UNKNOWN_TYPE
    return shown


async def update_allocations(request: Request[Placement]) -> Response:
    consumer = request.params["consumer_uuid"]
    if not is_uuid(consumer):
        raise MalformedConsumer(uuid=consumer)
    await allocations.claim(request.service, [claim(consumer, request.body, request.version)])
    return empty()


async def manage_allocations(request: Request[Placement]) -> Response:
    await allocations.claim(
        request.service, [claim(consumer, body, request.version) for consumer, body in request.body.items()]
    )
    return empty()


async def delete_allocations(request: Request[Placement]) -> Response:
    await allocations.release(request.service, request.params["consumer_uuid"])
    return empty()


def claim(consumer: str, body: Mapping[str, Any], version: Version) -> Claim:
    """What a body, valid for its version, says that a consumer shall hold."""
    wanted = body["allocations"]
    if isinstance(wanted, list):  # up to 1.11
        wanted = {each["resource_provider"]["uuid"]: each for each in wanted}
    return Claim(
        consumer,
        {(provider, name): n for provider, each in wanted.items() for name, n in each["resources"].items()},
        body.get("project_id", INCOMPLETE),
        body.get("user_id", INCOMPLETE),
        body.get("consumer_type"),
        body.get("consumer_generation"),
        is_guarded=version >= (1, 28),
    )
