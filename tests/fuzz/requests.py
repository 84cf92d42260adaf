"""Random requests from the operation tables' own schemas, and beyond them: whatever a client could send by mistake.

A request is drawn from one seed: a route, parameters that are real, foreign or nonsense, a body that fits the schema,
nearly fits it, or does not, a version in or out of range, a token or none.
"""

import random
import string
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pileus.foundation.http.app import Api
from pileus.foundation.http.route import Route
from pileus.foundation.http.versions import as_text

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 1.5, 1e308, "", " ", "a", "x" * 300, "x" * 70_000, "\u0000", "\ud7ff",
    "é😀",
    "'; DROP TABLE servers; --", "$(id)", "../../etc/passwd", "%s%n", "<script>", "a\nb", "\r\nX: y", "NaN", "null", [],
    {}, [[]], [None], {"": ""}, {"a": {"b": {"c": {}}}}, "10.0.0.0/8", "::1", "2026-13-40T99:99:99Z",
    "00000000-0000-0000-0000-000000000000",
)  # fmt: skip


class Drawn(msgspec.Struct):
    """One request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


def draw(chance: random.Random, prefix: str, api: Api, known: Mapping[str, Sequence[str]], token: str) -> Drawn:
    """A request to one of `api`'s operations; `known` are ids that exist, by parameter name."""
    route = chance.choice(list(api.routes))
    path = prefix + _path(chance, route, known)
    if chance.random() < 0.4:
        path += "?" + _query(chance)
    headers = {"x-auth-token": token if chance.random() < 0.93 else chance.choice(["", "x", token[:-3]])}
    version = _version(chance, api, headers)
    body = b""
    if route.method in ("POST", "PUT", "PATCH") or chance.random() < 0.05:
        body = _body(chance, route, version)
        headers["content-type"] = _media(chance, route)
    return Drawn(route.method if chance.random() < 0.97 else chance.choice(["PATCH", "OPTIONS", "TRACE"]), path, body,
                 headers)  # fmt: skip


def _path(chance: random.Random, route: Route, known: Mapping[str, Sequence[str]]) -> str:
    parts = []
    for segment in route.path.split("/"):
        if not segment.startswith("{"):
            parts.append(segment)
            continue
        ids = known.get(segment[1:-1], ())
        if ids and chance.random() < 0.8:
            parts.append(chance.choice(list(ids)))
        else:
            parts.append(chance.choice(["nothing", "00000000-0000-0000-0000-000000000000", "%00", "..", "a%2Fb", "é"]))
    return "/".join(parts)


def _query(chance: random.Random) -> str:
    names = [
        "limit",
        "marker",
        "sort_key",
        "sort_dir",
        "sort",
        "name",
        "status",
        "fields",
        "all_tenants",
        "id",
        "changes-since",
        "tags",
        "offset",
        "page_reverse",
        "resources",
        "required",
        "unknown",
        "created_at",
        "ip",
        "fixed_ips",
    ]
    values = [
        "1",
        "-1",
        "0",
        "x",
        "99999999999999999999",
        "name:asc",
        "(((",
        "gt:nothing",
        "VCPU:1",
        "true",
        "%00",
        "in:a,b",
    ]
    return "&".join(f"{chance.choice(names)}={chance.choice(values)}" for _ in range(chance.randint(1, 3)))


def _version(chance: random.Random, api: Api, headers: dict[str, str]) -> tuple[int, int]:
    versions = api.microversions
    if versions is None:
        return (0, 0)
    if chance.random() < 0.05:
        headers["openstack-api-version"] = f"{versions.type} {chance.choice(['9.99', 'x', '2', 'latest', '', '2.1.3'])}"
        return versions.minimum
    version = (versions.maximum[0], chance.randint(versions.minimum[1], versions.maximum[1]))
    headers["openstack-api-version"] = f"{versions.type} {as_text(version)}"
    return version


def _media(chance: random.Random, route: Route) -> str:
    if chance.random() < 0.95:
        return chance.choice(route.media) if not route.upload else "application/octet-stream"
    return chance.choice(["text/plain", "application/xml", "", "application/json; charset=utf-8"])


def _body(chance: random.Random, route: Route, version: tuple[int, int]) -> bytes:
    kind = chance.random()
    if route.upload:
        return chance.randbytes(chance.choice([0, 1, 511, 4096]))
    if kind < 0.04:
        return chance.choice([b"", b"{", b"[" * 5000, b"\xff\xfe", b'{"a":' * 200 + b"1" + b"}" * 200, b"null", b'"x"'])
    if route.body is None:
        return msgspec.json.encode({route.action: chance.choice(NASTY)} if route.action else chance.choice(NASTY))
    document = fitting(chance, route.body.json_schema(version), 0)
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        document = spoil(chance, document)
    try:
        return msgspec.json.encode(document)
    except (UnicodeEncodeError, msgspec.ValidationError):
        return b"{}"


def fitting(chance: random.Random, schema: Any, depth: int) -> Any:
    """A value that fits the schema as far as it is easily told."""
    if not isinstance(schema, dict) or depth > 8:
        return chance.choice(["x", 1, {}])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return fitting(chance, chance.choice(schema[word]), depth + 1)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = chance.choice(kind)
    return _MAKERS.get(kind, _text)(chance, schema, depth)


def _object(chance: random.Random, schema: dict[str, Any], depth: int) -> Any:
    required = set(schema.get("required", ()))
    return {
        name: fitting(chance, inner, depth + 1)
        for name, inner in schema.get("properties", {}).items()
        if name in required or chance.random() < 0.35
    }


def _array(chance: random.Random, schema: dict[str, Any], depth: int) -> Any:
    low = schema.get("minItems", 0)
    return [fitting(chance, schema.get("items", {}), depth + 1) for _ in range(chance.randint(low, low + 2))]


def _integer(chance: random.Random, schema: dict[str, Any], depth: int) -> Any:
    low = schema.get("minimum", -1)
    return chance.choice([low, low + 1, schema.get("maximum", low + 100)])


def _text(chance: random.Random, schema: dict[str, Any], depth: int) -> Any:
    if schema.get("format") == "uuid":
        return "8e8aa1a0-0000-4000-8000-000000000000"
    low = max(schema.get("minLength", 0), 1)
    size = min(max(low, chance.choice([1, 5, 20])), schema.get("maxLength", 20))
    return "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(size))


_MAKERS = {
    "object": _object, "array": _array, "integer": _integer, "string": _text,
    "number": lambda chance, schema, depth: chance.choice([0, 1.5, -2]),
    "boolean": lambda chance, schema, depth: chance.random() < 0.5,
    "null": lambda chance, schema, depth: None,
}  # fmt: skip


def spoil(chance: random.Random, document: Any) -> Any:
    """The document with one thing in it replaced, dropped or added."""
    if isinstance(document, dict) and document and chance.random() < 0.85:
        name = chance.choice(list(document))
        roll = chance.random()
        if roll < 0.6:
            return document | {name: spoil(chance, document[name])}
        if roll < 0.8:
            return {key: value for key, value in document.items() if key != name}
        return document | {chance.choice(["extra", "", "id", "é"]): chance.choice(NASTY)}
    if isinstance(document, list) and document and chance.random() < 0.85:
        place = chance.randrange(len(document))
        return [*document[:place], spoil(chance, document[place]), *document[place + 1 :]]
    return chance.choice(NASTY)
