"""Which back end has what a type asks for."""

import pytest

from pileus.volume.domain.backend_choice import choose_backend, fits

HAS = {"volume_backend_name": "file", "vendor_name": "Pileus", "multiattach": "True", "storage_protocol": "file"}


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ({}, True),
        ({"vendor_name": "Pileus"}, True),
        ({"vendor_name": "Other"}, False),
        ({"multiattach": "<is> True"}, True),
        ({"multiattach": "<is> False"}, False),
        ({"vendor_name": "<in> ile"}, True),
        ({"vendor_name": "s== Pileus"}, True),
        ({"vendor_name": "<or> Other <or> Pileus"}, True),
        ({"vendor_name": "<or> Other <or> Another"}, False),
        ({"capabilities:vendor_name": "Pileus"}, True),
        ({"capabilities:vendor_name": "Other"}, False),
        ({"colour": "red"}, False),
        ({"quality:colour": "red"}, True),
        ({"vendor_name": "Pileus", "storage_protocol": "smoke"}, False),
    ],
)
def test_specs_are_satisfied_or_not(specs: dict[str, str], expected: bool) -> None:
    assert fits(specs, HAS) is expected


def test_the_first_that_fits_is_chosen() -> None:
    assert choose_backend({}, ["a", "b"]) == "a"
    assert choose_backend({"volume_backend_name": "b"}, ["a", "b"]) == "b"
    assert choose_backend({"volume_backend_name": "c"}, ["a", "b"]) is None
    assert choose_backend({}, []) is None
