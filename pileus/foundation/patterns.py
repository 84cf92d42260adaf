"""Regular expressions that users send: searched for in time that grows with the text alone, whatever they say.

Python's own engine needs hours for some short patterns; this one (of jsonschema-rs) has no lookaround and no
references back, and cannot be slow.
"""

from collections.abc import Callable

from pileus.foundation.errors import BadRequest

LONGEST = 255


class BadPattern(BadRequest):
    code = "pattern.bad"
    message = "{pattern!r} is not a regular expression that is understood here."


def searcher(pattern: str) -> Callable[[str], bool]:
    """The function that tells whether a text holds what the pattern says. Raises: BadPattern (400)."""
    from jsonschema_rs import Draft4Validator, RegexOptions, ValidationError  # a start need not pay for it

    if len(pattern) > LONGEST:
        raise BadPattern(pattern=pattern[:LONGEST])
    try:
        found = Draft4Validator({"type": "string", "pattern": pattern}, pattern_options=RegexOptions()).is_valid
    except (ValidationError, ValueError) as wrong:
        raise BadPattern(pattern=pattern) from wrong
    return found
