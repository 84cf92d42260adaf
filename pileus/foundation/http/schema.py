"""What a request may say: bodies and query strings, declared field by field, each with the versions that know it.

The JSON schema of any version is computed from the one declaration and compiled once for each range of versions
between which nothing changes. This module only judges: it converts nothing, sets no defaults, and leaves the size and
depth of a document to the door.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.versions import Version, as_text, parse_version, version

__all__ = [
    "Body", "Field", "InvalidBody", "InvalidQuery", "Object", "Param", "Query", "Type", "Version", "any_json", "array",
    "boolean", "digits", "either", "integer", "integer_or_digits", "ip", "ipv4", "ipv6", "is_true", "mapping", "name",
    "null", "nullable", "number", "object_", "overlaps", "parse_version", "strict_boolean", "text", "uuid", "word",
]  # fmt: skip

Type = Union[dict[str, Any], "Object"]
"""A JSON Schema in the words of draft 4, or an object whose fields depend on the version; either may hold the other."""

_FIRST: Version = (0, 0)
_LAST: Version = (9999, 9999)


class InvalidBody(BadRequest):
    """The body does not fit its schema.

    Facts: `path` (names and positions down to the culprit), `field`, `complaint`, `keyword` of JSON Schema that failed,
    and `names`, the fields that are missing ("required") or unknown ("additionalProperties").
    """

    code = "request.invalid"


class InvalidQuery(BadRequest):
    """The query string does not fit its schema; facts as of `InvalidBody`."""

    code = "request.invalid-query"


# --- declarations ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One name in an object, known from version `since` up to and including `until`.

    With `pattern` the name is a regular expression, and the field stands for every name that matches it.
    """

    name: str
    type: Type
    required: bool = False
    since: str = ""
    until: str = ""
    pattern: bool = False
    description: str = ""

    @cached_property
    def first(self) -> Version:
        return version(self.since) if self.since else _FIRST

    @cached_property
    def last(self) -> Version:
        return version(self.until) if self.until else _LAST

    def at(self, asked: Version) -> bool:
        """Whether this version knows the field."""
        return self.first <= asked <= self.last


@dataclass(frozen=True)
class Object:
    """A JSON object of declared fields. Unknown names are let through always, never, or up to `additional_until`.

    `at_least` is the number of fields that must be there; `constraints` are further words of JSON Schema.
    """

    fields: tuple[Field, ...]
    additional: bool = False
    additional_until: str = ""
    at_least: int = 0
    constraints: Mapping[str, Any] | None = None

    def json_schema(self, asked: Version) -> dict[str, Any]:
        """The JSON Schema for one version."""
        known = [field for field in self.fields if field.at(asked)]
        lenient = self.additional or (bool(self.additional_until) and asked <= version(self.additional_until))
        schema: dict[str, Any] = {"type": "object", "additionalProperties": lenient, "properties": {}}
        for field in known:
            where = schema.setdefault("patternProperties", {}) if field.pattern else schema["properties"]
            where[field.name] = _plain(field.type, asked, field.description)
        required = [field.name for field in known if field.required and not field.pattern]
        if required:
            schema["required"] = required
        if self.at_least:
            schema["minProperties"] = self.at_least
        return schema | _plain(dict(self.constraints or {}), asked)

    def edges(self) -> Iterator[Version]:
        """The versions, apart from the first, at which something in here changes."""
        for field in self.fields:
            if field.since:
                yield field.first
            if field.until:
                yield _after(field.last)
            yield from _edges(field.type)
        if self.additional_until:
            yield _after(version(self.additional_until))


class _Declared:
    """Something with a schema for each version, compiled when first needed."""

    root: Object
    error: type[BadRequest] = InvalidBody

    def __init__(self) -> None:
        self._compiled: dict[int, Callable[[object], None]] = {}

    @cached_property
    def edges(self) -> list[Version]:
        """The versions at which the schema changes, ascending."""
        return sorted(set(self.root.edges()))

    def json_schema(self, asked: Version = _FIRST) -> dict[str, Any]:
        """The JSON Schema of one version, for documents and for tests."""
        return self.root.json_schema(asked)

    def validator(self, asked: Version = _FIRST) -> Callable[[object], None]:
        """The function that raises `error` (400) for what does not fit; one for each range of equal versions."""
        span = bisect_right(self.edges, asked)
        found = self._compiled.get(span)
        if found is None:
            found = self._compiled[span] = _compile(self.json_schema(asked), self.error)
        return found

    def validate(self, decoded: object, asked: Version = _FIRST) -> None:
        """Judge one decoded document by the schema of a version.

        Raises: InvalidBody or InvalidQuery (400).
        """
        self.validator(asked)(decoded)


class Body(_Declared):
    """What a request's body may be: fields, usually inside one envelope.

    `envelope` None means no envelope; a pair means one thing in the first or a list of them in the second, as network's
    ("port", "ports"). `value` replaces the fields where the envelope holds something else than an object. `beside` are
    fields next to the envelope.
    """

    def __init__(
        self,
        envelope: str | tuple[str, str] | None,
        *fields: Field,
        value: Type | None = None,
        additional: bool = False,
        additional_until: str = "",
        at_least: int = 0,
        constraints: Mapping[str, Any] | None = None,
        beside: Sequence[Field] = (),
        additional_beside: bool = False,
    ):
        super().__init__()
        if value is not None and fields:
            raise ValueError("a body has either fields or one value")
        self.envelope = envelope
        inner = Object(fields, additional, additional_until, at_least, constraints) if value is None else value
        if envelope is None:
            whole = Field("body", inner, required=True)
            self.root = inner if isinstance(inner, Object) else _Whole((whole,))
        elif isinstance(envelope, str):
            self.root = Object((Field(envelope, inner, required=True), *beside), additional_beside)
        else:
            one, many = envelope
            choices = (Field(one, inner), Field(many, array(inner, minimum=1)))
            self.root = Object((*choices, *beside), additional_beside, constraints=_exactly_one_of(one, many))


@dataclass(frozen=True)
class Param(Field):
    """One query parameter; `repeat` lets it come more than once, as sort_key does."""

    repeat: bool = False


class Query(_Declared):
    """What a request's query string may say. Values are texts: use `digits`, `boolean`, `word`, `text`, `uuid`.

    Unknown parameters are let through unless `additional` is False; with `additional_until` they are refused later on.
    """

    error = InvalidQuery

    def __init__(self, *params: Param, additional: bool = True, additional_until: str = ""):
        super().__init__()
        self.params = params
        fields = tuple(
            Field(p.name, array(p.type, maximum=None if p.repeat else 1), p.required, p.since, p.until, p.pattern)
            for p in params
        )
        self.root = Object(fields, additional and not additional_until, additional_until)


class _Whole(Object):
    """A document that is no object: the type of its only field."""

    def json_schema(self, asked: Version) -> dict[str, Any]:
        return _plain(self.fields[0].type, asked)


def overlaps(declared: _Declared) -> list[str]:
    """Fields of one name in one object that some version would know twice: a mistake in the declaration."""
    return sorted(_overlaps(declared.root, ""))


def _overlaps(node: Any, where: str) -> Iterator[str]:
    if isinstance(node, Object):
        for number, field in enumerate(node.fields):
            for other in node.fields[number + 1 :]:
                if field.name == other.name and field.first <= other.last and other.first <= field.last:
                    yield f"{where}{field.name} in {as_text(max(field.first, other.first))}"
            yield from _overlaps(field.type, f"{where}{field.name}.")
        yield from _overlaps(dict(node.constraints or {}), where)
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _overlaps(part, where)


def _after(last: Version) -> Version:
    return last[0], last[1] + 1


def _edges(node: Any) -> Iterator[Version]:
    if isinstance(node, Object):
        yield from node.edges()
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _edges(part)


def _resolve(node: Any, asked: Version) -> Any:
    """The plain JSON Schema of a type for one version."""
    if isinstance(node, Object):
        return node.json_schema(asked)
    if isinstance(node, dict):
        return {key: _resolve(part, asked) for key, part in node.items()}
    return [_resolve(part, asked) for part in node] if isinstance(node, list) else node


def _plain(node: Type, asked: Version, description: str = "") -> dict[str, Any]:
    schema: dict[str, Any] = _resolve(node, asked)
    return schema | {"description": description} if description else schema


def _exactly_one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


# --- types -------------------------------------------------------------------------------------------------------

_NUL_FREE = r"^[^\x00]*$"
_NUL = r"\x00"
_UUID = r"^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$"
_PRINTABLE = r"[^\p{C}\p{Zl}\p{Zp}]"  # spaces included
_VISIBLE = r"[^\p{C}\p{Z}]"
_NAME = f"^{_VISIBLE}({_PRINTABLE}*{_VISIBLE})?$"
_SPACED_NAME = f"^{_PRINTABLE}*{_VISIBLE}{_PRINTABLE}*$"
_DIGITS = "^[0-9]+$"
_SIGNED_DIGITS = "^-?[0-9]+$"

_SPOKEN = {
    _NUL_FREE: "contains a NUL character",
    _UUID: "is not a 'uuid'",
    _NAME: "is not a name: printable characters, no space at either end",
    _SPACED_NAME: "is not a name: printable characters, not only spaces",
}

_TRUE = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
_FALSE = ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]

any_json: Type = {}
null: Type = {"type": "null"}
strict_boolean: Type = {"type": "boolean"}
boolean: Type = {"type": ["boolean", "string"], "enum": [True, *_TRUE, False, *_FALSE]}
"""True, false, and the words that compute and block storage take for them; `is_true` reads it."""
uuid: Type = {"type": "string", "pattern": _UUID}
ipv4: Type = {"type": "string", "format": "ipv4"}
ipv6: Type = {"type": "string", "format": "ipv6"}
ip: Type = {"anyOf": [ipv4, ipv6]}


def is_true(value: bool | str) -> bool:
    """What a value that passed `boolean` means."""
    return value is True or value in _TRUE


def text(minimum: int = 0, maximum: int | None = None, pattern: str | None = None) -> Type:
    """A text of so many characters, without NUL whatever the pattern says."""
    schema: dict[str, Any] = {"type": "string"}
    if minimum:
        schema["minLength"] = minimum
    if maximum is not None:
        schema["maxLength"] = maximum
    if pattern is None:
        return schema | {"pattern": _NUL_FREE}
    return schema | {"pattern": pattern, "not": {"type": "string", "pattern": _NUL}}


def name(maximum: int = 255, *, spaces: bool = False) -> Type:
    """The name of a thing: printable; spaces at its ends only with `spaces` (the caller strips them)."""
    pattern = _SPACED_NAME if spaces else _NAME
    return {"type": "string", "minLength": 1, "maxLength": maximum, "pattern": pattern}


def integer(minimum: int | None = None, maximum: int | None = None) -> Type:
    """A JSON integer; neither 1.0 nor true is one."""
    return {"type": "integer"} | _bounds(minimum, maximum)


def number(minimum: float | None = None, maximum: float | None = None) -> Type:
    return {"type": "number"} | _bounds(minimum, maximum)


def digits(minimum: int | None = None, maximum: int | None = None) -> Type:
    """A text of decimal digits within bounds: the integers of a query string."""
    negative = minimum is not None and minimum < 0
    schema: dict[str, Any] = {"type": "string", "pattern": _SIGNED_DIGITS if negative else _DIGITS, "maxLength": 40}
    bounds = _bounds(minimum, maximum)
    return schema | {"digits": bounds} if bounds else schema


def integer_or_digits(minimum: int | None = None, maximum: int | None = None) -> Type:
    """An integer or the text of one, as compute takes most of its numbers; `int()` reads both."""
    return digits(minimum, maximum) | {"type": ["integer", "string"]} | _bounds(minimum, maximum)  # type: ignore[operator]


def word(*words: str) -> Type:
    return {"type": "string", "enum": list(words)}


def either(*types: Type) -> Type:
    return {"anyOf": list(types)}


def nullable(inner: Type) -> Type:
    """The type, or null."""
    if isinstance(inner, Object) or not isinstance(inner.get("type"), str | list):
        return either(null, inner)
    kinds = inner["type"] if isinstance(inner["type"], list) else [inner["type"]]
    both = inner | {"type": [*kinds, "null"]}
    return both | {"enum": [*inner["enum"], None]} if "enum" in inner else both


def array(items: Type, minimum: int = 0, maximum: int | None = None, *, unique: bool = False) -> Type:
    schema: dict[str, Any] = {"type": "array", "items": items}
    if minimum:
        schema["minItems"] = minimum
    if maximum is not None:
        schema["maxItems"] = maximum
    return schema | {"uniqueItems": True} if unique else schema


def mapping(values: Type, key: str = r"^[^\x00]{1,255}$", maximum: int | None = None) -> Type:
    """An object of free names, each matching the pattern `key`, all with values of one type."""
    schema: dict[str, Any] = {"type": "object", "patternProperties": {key: values}, "additionalProperties": False}
    return schema if maximum is None else schema | {"maxProperties": maximum}


def object_(
    *fields: Field,
    additional: bool = False,
    additional_until: str = "",
    at_least: int = 0,
    constraints: Mapping[str, Any] | None = None,
) -> Object:
    """A nested object, its fields with versions of their own."""
    return Object(fields, additional, additional_until, at_least, constraints)


def _bounds(minimum: float | None, maximum: float | None) -> dict[str, Any]:
    return {key: value for key, value in (("minimum", minimum), ("maximum", maximum)) if value is not None}


# --- judging -----------------------------------------------------------------------------------------------------


class _DigitsKeyword:
    """Our word `digits` in a schema: the bounds of a number that is written as a text."""

    def __init__(self, parent: Any, bounds: dict[str, int], path: Any):
        self._minimum, self._maximum = bounds.get("minimum"), bounds.get("maximum")

    def validate(self, instance: Any) -> None:
        if not isinstance(instance, str) or len(instance) > 40 or not re.fullmatch(_SIGNED_DIGITS[1:-1], instance):
            return  # other words of the schema complain of it
        if self._minimum is not None and int(instance) < self._minimum:
            raise ValueError(f"is less than the minimum of {self._minimum}")
        if self._maximum is not None and int(instance) > self._maximum:
            raise ValueError(f"is greater than the maximum of {self._maximum}")


def _compile(schema: dict[str, Any], error: type[BadRequest]) -> Callable[[object], None]:
    from jsonschema_rs import Draft4Validator, RegexOptions, ValidationError  # 28 ms that a start need not pay

    judge = Draft4Validator(
        schema, validate_formats=True, keywords={"digits": _DigitsKeyword}, pattern_options=RegexOptions()
    ).validate

    def validate(decoded: object) -> None:
        try:
            judge(decoded)
        except ValidationError as complaint:
            raise _explain(complaint, decoded, error) from complaint
        except ValueError as unfit:  # text that is not Unicode, or deeper than the judge can go
            raise error("The request holds what JSON cannot say.", log=str(unfit)) from unfit

    return validate


def _explain(found: Any, decoded: Any, error: type[BadRequest]) -> BadRequest:
    """The 400 that names the field, its value and what is wrong with it, worded as compute's callers know it."""
    found = _closest(found)
    path = list(found.instance_path)
    is_query = error is InvalidQuery
    value = "***" if any(_is_secret(step) for step in path) else _without_secrets(_at(decoded, path))
    complaint = _complaint(found.kind, value)
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


def _complaint(kind: Any, value: Any) -> str:
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
            return f"{shown} {_SPOKEN.get(kind.pattern) or f'does not match {kind.pattern!r}'}"
        case "not" if kind.schema == {"type": "string", "pattern": _NUL}:
            return f"{shown} contains a NUL character"
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
