"""What query strings ask of providers: resources, traits and aggregates, read from their small languages.

Source: placement API reference, "List resource providers" and "List allocation candidates".
"""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from pileus.placement.domain.errors import BadQuery

_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Z0-9_]{1,255}")
_AMOUNT = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which names (traits, aggregates) a thing must have: of each set in `any_of` one, of `forbidden` none."""

    any_of: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def allows(self, names: Set[str]) -> bool:
        return not (self.forbidden and self.forbidden & names) and all(each & names for each in self.any_of)

    @property
    def names(self) -> frozenset[str]:
        return self.forbidden.union(*self.any_of)

    @property
    def contradiction(self) -> list[str]:
        """Names that are wanted and forbidden at once."""
        return sorted({next(iter(each)) for each in self.any_of if len(each) == 1} & self.forbidden)

    def __bool__(self) -> bool:
        return bool(self.any_of or self.forbidden)


NOTHING = Filter()


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def parse_resources(text: str) -> dict[str, int]:
    """{"VCPU": 2} of "VCPU:2". Raises: BadQuery (400)."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, colon, amount = part.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise BadQuery(
                complaint="Badly formed resources parameter. Expected resources query string parameter in form: "
                f"?resources=VCPU:2,MEMORY_MB:1024. Got: {text}."
            )
        if not _AMOUNT.fullmatch(amount) or not int(amount):
            raise BadQuery(
                complaint=f"Requested resource {name} expected positive integer amount. Got: {amount}. "
                f"The resources parameter was: {text}."
            )
        found[name] = int(amount)
    return found


def parse_required(values: Sequence[str], *, may_forbid: bool, may_choose: bool) -> Filter:
    """Traits: "A,B" all of them, "!C" without (from 1.22), "in:D,E" one of them (from 1.39). Raises: BadQuery (400)."""
    any_of: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for text in values:
        if may_choose and text.startswith("in:"):
            any_of.append(frozenset(_traits(text[3:], text, may_forbid, may_choose)))
            continue
        for name in _traits(text, text, may_forbid, may_choose, prefix="!" if may_forbid else ""):
            if name.startswith("!"):
                forbidden.add(name[1:])
            else:
                any_of.append(frozenset((name,)))
    return Filter(tuple(any_of), frozenset(forbidden))


def _traits(text: str, whole: str, may_forbid: bool, may_choose: bool, prefix: str = "") -> list[str]:
    names = text.split(",")
    for name in names:
        bare = name[1:] if prefix and name.startswith(prefix) else name
        if not _NAME.fullmatch(bare):
            form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if may_forbid else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
            also = " or in:HW_CPU_X86_VMX,CUSTOM_MAGIC" if may_choose else ""
            raise BadQuery(
                complaint="Invalid query string parameters: Expected 'required' parameter value of the form: "
                f"{form}{also}. Got: {whole}"
            )
    return names


def parse_member_of(values: Sequence[str], *, may_forbid: bool, may_repeat: bool) -> Filter:
    """Aggregates: "uuid", "in:uuid,uuid" one of them, with "!" (from 1.32) none of them. Raises: BadQuery (400)."""
    if len(values) > 1 and not may_repeat:
        raise BadQuery(complaint="Multiple member_of parameters are not supported")
    any_of: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for text in values:
        is_forbidden = may_forbid and text.startswith("!")
        bare = text[1:] if is_forbidden else text
        names = bare[3:].split(",") if bare.startswith("in:") else [bare]
        if not all(is_uuid(name) for name in names):
            raise BadQuery(
                complaint="Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). "
                f"Got: {text}"
            )
        if is_forbidden:
            forbidden.update(names)
        else:
            any_of.append(frozenset(names))
    return Filter(tuple(any_of), frozenset(forbidden))
