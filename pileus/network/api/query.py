"""What the query string of a list asks for: filters, order, a page, some of the fields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pileus.network.api.bodies import is_true
from pileus.network.api.kinds import Kind
from pileus.network.domain import moment
from pileus.network.domain.address import Address, parse
from pileus.network.domain.errors import BadRequest, HTTPBadRequest, InvalidInput

_NOT_FILTERS = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"})
_WORDS = {"true": True, "1": True, "t": True, "yes": True, "false": False, "0": False, "f": False, "no": False}

Document = Mapping[str, Any]
Test = Callable[[Document], bool]


@dataclass(slots=True)
class Listing:
    """A list as it is asked for. `tests` are the filters that only the document can answer."""

    equal: dict[str, list[str]] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    subnets: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    sorts: list[tuple[str, bool]] = field(default_factory=list)  # key, ascending
    fields: frozenset[str] = frozenset()
    limit: int = 0
    marker: str = ""
    backwards: bool = False

    @property
    def is_in_order(self) -> bool:
        """Whether the database can make the page by itself."""
        return not self.tests and self.sorts in ([], [("id", True)])


def read(kind: Kind, query: Mapping[str, Sequence[str]]) -> Listing:
    """Raises: HTTPBadRequest, BadRequest, InvalidInput (400)."""
    found = Listing()
    unknown: list[str] = []
    for key, values in query.items():
        if key in _NOT_FILTERS:
            continue
        if key not in kind.filters:
            unknown.append(key)
        else:
            _add_filter(found, kind, key, list(values))
    if unknown:
        raise HTTPBadRequest(reason=f"{unknown} is invalid attribute for filtering")
    found.fields = frozenset(name for name in query.get("fields", ()) if name)
    found.sorts = _sorts(kind, query)
    _read_page(found, query)
    return found


def _read_page(found: Listing, query: Mapping[str, Sequence[str]]) -> None:
    text = query.get("limit", ["0"])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(resource="limit", reason=f"Limit must be an integer 0 or greater and not '{text}'")
    found.limit = int(text)
    if found.limit:
        found.marker = query.get("marker", [""])[0]
        found.backwards = query.get("page_reverse", ["false"])[0].lower() == "true"


def _sorts(kind: Kind, query: Mapping[str, Sequence[str]]) -> list[tuple[str, bool]]:
    keys = [key for key in query.get("sort_key", ()) if key]
    directions = [direction for direction in query.get("sort_dir", ()) if direction]
    if len(keys) != len(directions):
        raise HTTPBadRequest(reason="The number of sort_keys and sort_dirs must be same")
    absent = [key for key in keys if key not in kind.sort_keys]
    if absent:
        raise HTTPBadRequest(reason=f"{absent} is invalid attribute for sort_keys")
    wrong = [direction for direction in directions if direction not in ("asc", "desc")]
    if wrong:
        raise HTTPBadRequest(reason=f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
    return [(key, direction == "asc") for key, direction in zip(keys, directions, strict=True)]


# -- filters ------------------------------------------------------------------------------------------------------
def _add_filter(found: Listing, kind: Kind, key: str, values: list[str]) -> None:
    if key == "fixed_ips":
        _add_fixed_ips(found, values)
    elif key == "security_groups":
        found.groups += values
    elif key in ("tags", "tags-any", "not-tags", "not-tags-any"):
        found.tests.append(_tag_test(key, {tag for value in values for tag in value.split(",") if tag}))
    elif key == "changed_since":
        found.tests.append(_changed_since(values[0]))
    elif key in kind.flags:
        _add_flag(found, kind, key, values)
    elif key in kind.table.columns:
        column = kind.table.columns[key]
        known = found.equal.get(column)
        found.equal[column] = values if known is None else [value for value in known if value in values] or [""]
    else:
        found.tests.append(_equal_test(key, values))


def _add_flag(found: Listing, kind: Kind, key: str, values: Sequence[str]) -> None:
    wanted = {_truth(value) for value in values}
    column = kind.table.flags.get(key)
    if len(wanted) > 1:
        return
    value = wanted.pop()
    if column is not None:
        found.flags[column] = int(value)
    else:
        found.tests.append(lambda document: document.get(key) is value)


def _truth(text: str) -> bool:
    if text.lower() not in _WORDS:
        raise InvalidInput(reason=f"'{text}' cannot be converted to boolean")
    return is_true(_WORDS[text.lower()])


def _equal_test(key: str, values: Sequence[str]) -> Test:
    wanted = frozenset(values)
    return lambda document: ("" if document.get(key) is None else str(document[key])) in wanted


def _changed_since(text: str) -> Test:
    try:
        since = moment.written(moment.read(text))
    except (ValueError, OverflowError):
        raise InvalidInput(reason=f"The input changed_since must be in the following format: "
                           f"YYYY-MM-DDTHH:MM:SS[Z], not '{text}'") from None  # fmt: skip
    return lambda document: str(document["updated_at"]) >= since


def _tag_test(key: str, wanted: set[str]) -> Test:
    def any_of(document: Document) -> bool:
        return not wanted.isdisjoint(document["tags"])

    def all_of(document: Document) -> bool:
        return wanted.issubset(document["tags"])

    tests: dict[str, Test] = {
        "tags": all_of,
        "tags-any": any_of,
        "not-tags": lambda document: not all_of(document),
        "not-tags-any": lambda document: not any_of(document),
    }
    return tests[key]


def _add_fixed_ips(found: Listing, values: Sequence[str]) -> None:
    """`fixed_ips=ip_address=10.0.0.3`, `=subnet_id=...`, `=ip_address_substr=10.0`."""
    parts: list[str] = []
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or key not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise InvalidInput(reason=f"'{value}' is not of the form <key>=[value]")
        if key == "ip_address":
            found.addresses.append(_address(text))
        elif key == "subnet_id":
            found.subnets.append(text)
        else:
            parts.append(text)
    if parts:
        found.tests.append(
            lambda document: any(part in item["ip_address"] for item in document["fixed_ips"] for part in parts)
        )


def _address(text: str) -> Address:
    try:
        return parse(text)
    except ValueError:
        raise InvalidInput(reason=f"'{text}' is not a valid IP address") from None
