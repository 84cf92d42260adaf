"""The reshaper over HTTP: inventories and allocations of several providers change together."""

from pileus.foundation.http.request import Request, Response, empty
from pileus.foundation.http.schema import Body, Field, object_
from pileus.placement.api.allocations import OF_CONSUMER, UUID_KEY, claim
from pileus.placement.api.inventories import ALL, inventory
from pileus.placement.app import reshaper
from pileus.placement.app.reshaper import Shape
from pileus.placement.service import Placement

RESHAPE = Body(
    None,
    Field("inventories", object_(Field(UUID_KEY, object_(*ALL), pattern=True), at_least=1), required=True),
    Field("allocations", object_(Field(UUID_KEY, OF_CONSUMER, pattern=True)), required=True),
)


async def reshape(request: Request[Placement]) -> Response:
    body = request.body
    shapes = [
        Shape(
            uuid,
            each["resource_provider_generation"],
            [inventory(name, record) for name, record in each["inventories"].items()],
        )
        for uuid, each in body["inventories"].items()
    ]
    claims = [claim(consumer, each, request.version) for consumer, each in body["allocations"].items()]
    await reshaper.reshape(request.service, shapes, claims)
    return empty()
