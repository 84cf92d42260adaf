"""Judges a decoded document by a JSON Schema and says what is wrong in words that a user can act on.

The words are those of the reference implementation's validator, since users search for them. Secrets are blotted out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pileus.foundation.errors import BadRequest


class InvalidBody(BadRequest):
    """The body does not fit its schema.

    Facts: `path` (names and positions down to the culprit), `field`, `complaint`, `keyword` of JSON Schema that failed,
    and `names`, the fields that are missing ("required") or unknown ("additionalProperties").
    """

    code = "request.invalid"


class InvalidQuery(BadRequest):
    """The query string does not fit its schema; facts as of `InvalidBody`."""

    code = "request.invalid-query"


class _DigitsKeyword:
    """Our word `digits` in a schema: the bounds of a number that is written as a text."""

    def __init__(self, parent: Any, bounds: dict[str, int], path: Any):
        self._minimum, self._maximum = bounds.get("minimum"), bounds.get("maximum")

    def validate(self, instance: Any) -> None:
        if not isinstance(instance, str) or len(instance) > 40 or not re.fullmatch(r"-?[0-9]+", instance):
            return  # other words of the schema complain of it
        if self._minimum is not None and int(instance) < self._minimum:
            raise ValueError(f"is less than the minimum of {self._minimum}")
        if self._maximum is not None and int(instance) > self._maximum:
            raise ValueError(f"is greater than the maximum of {self._maximum}")


def compile_schema(
    schema: dict[str, Any], error: type[BadRequest], spoken: Mapping[str, str]
) -> Callable[[object], None]:
    """The function that raises `error` for what does not fit the schema; `spoken` says patterns in words."""
    from jsonschema_rs import Draft4Validator, RegexOptions, ValidationError  # a start need not pay for it

    judge = Draft4Validator(
        schema, validate_formats=True, keywords={"digits": _DigitsKeyword}, pattern_options=RegexOptions()
    ).validate

    def validate(decoded: object) -> None:
        try:
            judge(decoded)
        except ValidationError as complaint:
            raise _explain(complaint, decoded, error, spoken) from complaint
        except ValueError as unfit:  # text that is not Unicode, or deeper than the judge can go
            raise error("The request holds what JSON cannot say.", log=str(unfit)) from unfit

    return validate


def _explain(found: Any, decoded: Any, error: type[BadRequest], spoken: Mapping[str, str]) -> BadRequest:
    """The 400 that names the field, its value and what is wrong with it, worded as compute's callers know it."""
    found = _closest(found)
    path = list(found.instance_path)
    is_query = error is InvalidQuery
    value = "***" if any(_is_secret(step) for step in path) else _without_secrets(_at(decoded, path))
    complaint = _complaint(found.kind, value, spoken)
    facts = {"path": path, "complaint": complaint, "keyword": found.kind.name, "names": _names(found.kind)}
    if not path:
        return error(complaint, field="", **facts)
    field = _printable(str(path[0] if is_query else path[-1]))
    place = "query parameters" if is_query else "field/attribute"
    if is_query and isinstance(value, list) and len(value) == 1:
        value = value[0]
    whole = f"Invalid input for {place} {field}. Value: {_short(_printable(str(value)))}. {complaint}"
    return error(whole, field=field, **facts)


def _closest(found: Any) -> Any:
    """Of several alternatives that failed, the only one of the right kind, if there is just one."""
    while found.kind.name in ("anyOf", "oneOf"):
        here = list(found.instance_path)
        fitting = [branch for branch in found.kind.context if branch and not _is_other_kind(branch, here)]
        if len(fitting) != 1:
            break
        found = fitting[0][0]
    return found


def _is_other_kind(branch: Sequence[Any], here: list[Any]) -> bool:
    return any(error.kind.name == "type" and list(error.instance_path) == here for error in branch)


def _complaint(kind: Any, value: Any, spoken: Mapping[str, str]) -> str:
    """Words of the reference implementation's validator, which users search for."""
    shown = _short(repr(value))
    match kind.name:
        case "type":
            return f"{shown} is not of type {', '.join(repr(name) for name in kind.types)}"
        case "required":
            return f"{kind.property!r} is a required property"
        case "additionalProperties":
            names, were = ", ".join(map(repr, kind.unexpected)), "was" if len(kind.unexpected) == 1 else "were"
            return f"Additional properties are not allowed ({names} {were} unexpected)"
        case "pattern":
            return f"{shown} {spoken.get(kind.pattern) or f'does not match {kind.pattern!r}'}"
        case "not" if kind.schema.get("pattern") in spoken:
            return f"{shown} {spoken[kind.schema['pattern']]}"
        case "enum":
            return f"{shown} is not one of {kind.options!r}"
        case "minimum":
            return f"{shown} is less than the minimum of {kind.limit}"
        case "maximum":
            return f"{shown} is greater than the maximum of {kind.limit}"
        case "minLength" | "minItems" | "minProperties" if kind.limit == 1:
            return f"{shown} should be non-empty"
        case "minLength" | "minItems":
            return f"{shown} is too short"
        case "maxLength" | "maxItems":
            return f"{shown} is too long"
        case "minProperties":
            return f"{shown} does not have enough properties"
        case "maxProperties":
            return f"{shown} has too many properties"
        case "uniqueItems":
            return f"{shown} has non-unique elements"
        case "format":
            return f"{shown} is not a {kind.format!r}"
        case "anyOf" | "oneOf":
            return f"{shown} is not valid under any of the given schemas"
        case "digits":
            return f"{shown} {kind.message}"
    return f"{shown} does not satisfy {kind.name!r}"


def _names(kind: Any) -> list[str]:
    if kind.name == "required":
        return [kind.property]
    return list(kind.unexpected) if kind.name == "additionalProperties" else []


_SECRET = re.compile(r"pass|secret|token|user_data|private_key|credential", re.IGNORECASE)


def _is_secret(key: object) -> bool:
    return isinstance(key, str) and _SECRET.search(key) is not None


def _without_secrets(value: Any, levels: int = 8) -> Any:
    """The value as it may stand in an error, which ends in logs: what its name calls a secret is blotted out."""
    if not isinstance(value, dict | list):
        return value
    if levels == 0:
        return "..."
    if isinstance(value, list):
        return [_without_secrets(part, levels - 1) for part in value]
    return {key: "***" if _is_secret(key) else _without_secrets(part, levels - 1) for key, part in value.items()}


def _at(decoded: Any, path: Sequence[str | int]) -> Any:
    """The caller's own value, with its names in the order they were written (the judge sorts them)."""
    for step in path:
        decoded = decoded[step]
    return decoded


def _printable(shown: str) -> str:
    return shown if shown.isprintable() else repr(shown)[1:-1]


def _short(shown: str, limit: int = 1000) -> str:
    return shown if len(shown) <= limit else shown[:limit] + "..."
