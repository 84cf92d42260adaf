"""Passwords that nobody chose."""

from collections import Counter

from pileus.compute.app.passwords import LENGTH, generate
from pileus.foundation.runtime import Runtime


def test_passwords_are_long_enough_and_all_different(runtime: Runtime) -> None:
    made = {generate(runtime) for _ in range(200)}
    assert len(made) == 200
    assert {len(one) for one in made} == {LENGTH}


def test_no_letter_is_favoured_or_easily_mistaken(runtime: Runtime) -> None:
    counted = Counter("".join(generate(runtime) for _ in range(2000)))
    assert not set("0O1Il") & counted.keys()
    assert len(counted) == 57
    assert max(counted.values()) < 2 * min(counted.values())
