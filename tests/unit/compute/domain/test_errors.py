"""Errors of compute: their texts, their codes, and their way over the bus."""

import string

import pytest

from pileus.compute.domain import errors as compute_errors
from pileus.foundation.errors import Error, from_wire, to_wire

OWN = [
    kind
    for kind in vars(compute_errors).values()
    if isinstance(kind, type) and issubclass(kind, Error) and kind.__module__ == compute_errors.__name__
]


def example(kind: type[Error]) -> Error:
    return kind(**{name: f"<{name}>" for _, name, _, _ in string.Formatter().parse(kind.message) if name})


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_an_error_keeps_text_code_and_status_over_the_bus(kind: type[Error]) -> None:
    error = example(kind)
    received = from_wire(to_wire(error))
    assert (received.text, received.code, received.status) == (error.text, error.code, error.status)


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in OWN]
    assert len(codes) == len(set(codes))
    assert all(code.startswith("compute.") for code in codes)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (compute_errors.ServerNotFound(server_id="x"), 404, "Instance x could not be found."),
        (compute_errors.FlavorNotFound(flavor_id="nope"), 404, "Flavor nope could not be found."),
        (compute_errors.UnknownFlavor(flavor_id="nope"), 400, "Flavor nope could not be found."),
        (compute_errors.UnknownImage(), 400, "Can not find requested image"),
        (compute_errors.UnknownNetwork(network_id="n"), 400, "Network n could not be found."),
        (compute_errors.FlavorIdExists(flavor_id="ref1"), 409, "Flavor with ID ref1 already exists."),
        (compute_errors.KeypairExists(name="ref-key"), 409, "Key pair 'ref-key' already exists."),
        (compute_errors.KeypairNotFound(name="nope", user_id="u"), 404, "Keypair nope not found for user u"),
    ],
)
def test_recorded_refusals_have_their_recorded_words(error: Error, status: int, text: str) -> None:
    assert (error.status, error.text) == (status, text)
