"""The table of operations, its rules, and errors in the shape clients expect."""

from typing import Any

import pytest

from pileus.foundation import errors
from pileus.foundation.database import DatabaseFull
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import overlaps
from pileus.foundation.policy import Policy
from pileus.network.api.dress import dress
from pileus.network.api.extensions import EXTENSIONS
from pileus.network.api.kinds import NETWORKS, PORTS
from pileus.network.api.policies import POLICIES
from pileus.network.api.routes import ROUTES
from pileus.network.domain.errors import NetworkInUse


def test_every_rule_that_a_route_or_an_attribute_asks_for_exists() -> None:
    policy = Policy(POLICIES)
    policy.require({route.policy for route in ROUTES if route.policy})
    policy.require([*NETWORKS.hidden_rules, *PORTS.hidden_rules])


def test_hidden_attributes_are_the_last_of_their_documents() -> None:
    for kind in (NETWORKS, PORTS):
        assert tuple(kind.value.__struct_encode_fields__[-len(kind.hidden) :]) == kind.hidden


def test_no_body_knows_a_field_twice() -> None:
    assert not [route.op for route in ROUTES if route.body is not None and overlaps(route.body)]


def test_operations_are_rows_of_the_reference() -> None:
    ops = {route.op for route in ROUTES}
    assert {
        "network:get:", "network:get:v2.0", "network:get:networks", "network:put:ports/*", "network:get:extensions/*",
        "network:put:routers/*/add-router-interface", "network:delete:security-group-rules/*",
        "network:get:quotas/*/details", "network:get:quotas/*/default", "network:get:availability-zones",
        "network:put:{}/*/tags/*", "network:post:{}/*/tags",
    } <= ops  # fmt: skip


def test_extensions_are_named_once_and_say_what_they_are() -> None:
    assert all(alias == extension.alias for alias, extension in EXTENSIONS.items())
    assert all(extension.name and extension.description and extension.updated for extension in EXTENSIONS.values())


def dressed(error: errors.Error) -> tuple[int, Any]:
    request: Request[Any] = Request("GET", "/v2.0/networks", "", {}, "http://x/networking")
    response = dress(error, request)
    import msgspec

    return response.status, msgspec.json.decode(response.body)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NetworkInUse(network_id="n", ports="p"), 409, "NetworkInUse"),
        (errors.TooLarge(), 413, "HTTPRequestEntityTooLarge"),
        (errors.UnsupportedMedia(), 415, "HTTPUnsupportedMediaType"),
        (DatabaseFull(), 503, "HTTPServiceUnavailable"),
        (errors.ConcurrentChange(), 409, "HTTPConflict"),
        (errors.Error("secret", log="more"), 500, "HTTPInternalServerError"),
    ],
)
def test_errors_keep_their_name_and_strangers_tell_nothing(error: errors.Error, status: int, kind: str) -> None:
    found, body = dressed(error)
    assert (found, body["NeutronError"]["type"]) == (status, kind)
    assert "secret" not in str(body)


def test_a_missing_token_points_to_identity() -> None:
    request: Request[Any] = Request("GET", "/v2.0/networks", "", {}, "http://x/networking")
    response = dress(errors.Unauthorized(), request)
    assert ("www-authenticate", 'Keystone uri="http://x/identity/v3"') in response.headers
