"""What a request may say: bodies and query strings, declared field by field, each with the versions that know it.

The JSON schema of any version is computed from the one declaration and compiled once for each range of versions
between which nothing changes. This module only judges: it converts nothing, sets no defaults, and leaves the size and
depth of a document to the door.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

from pileus.foundation.errors import BadRequest
from pileus.foundation.http.judge import InvalidBody, InvalidQuery, compile_schema
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
            found = self._compiled[span] = compile_schema(self.json_schema(asked), self.error, _SPOKEN)
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

_SPOKEN = {  # what a user reads instead of the pattern
    _NUL_FREE: "contains a NUL character",
    _NUL: "contains a NUL character",
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
