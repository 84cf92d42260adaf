"""Who may do what: rules in oslo.policy's language, compiled once to closures and never parsed while a request waits.

Operators may override rules in `policy.yaml`. A rule that cannot be understood stops the start: it is never guessed at.
This module does not know roles' implications (identity expands them into the token), nor any service's rules.

It differs from oslo.policy in three places, each to the safe side: a malformed rule is an error instead of a quiet
denial, `http:` checks are refused, and an empty credential (None or "") never equals an attribute of the target.
"""

import ast
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pileus.foundation.context import Context
from pileus.foundation.errors import Forbidden

Check = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""A compiled rule: credentials and target in, decision out."""

Words = Callable[[Mapping[str, Any]], str | None]
"""The right side of a check as text for one target; None when the target lacks what it names."""


class PolicyError(ValueError):
    """A rule that cannot be compiled, or that was promised and does not exist; found while starting."""


class NotAllowed(Forbidden):
    """The policy does not allow the caller this operation."""

    message = "Policy doesn't allow {rule} to be performed."
    code = "policy.not-allowed"


@dataclass(frozen=True, slots=True)
class RuleDefault:
    """One rule as the service ships it; `operations` are the routes it guards, as ("POST", "/servers")."""

    name: str
    check_str: str
    description: str = ""
    operations: tuple[tuple[str, str], ...] = ()


class Policy:
    """The rules of one service with the operator's overrides.

    Raises: PolicyError when a rule cannot be read, when rules refer to each other in a circle, or a name comes twice.
    """

    def __init__(self, defaults: Iterable[RuleDefault], overrides: Mapping[str, str] | None = None):
        self._rules: dict[str, RuleDefault] = {}
        for rule in defaults:
            if rule.name in self._rules:
                raise PolicyError(f"policy rule {rule.name!r} is declared twice")
            self._rules[rule.name] = rule
        for name, text in (overrides or {}).items():
            known = self._rules.get(name, RuleDefault(name, "", "Added by the operator."))
            self._rules[name] = RuleDefault(name, text, known.description, known.operations)
        self._checks = _compiled(tuple((name, rule.check_str) for name, rule in self._rules.items()))

    def allows(self, rule: str, credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        """Whether the rule lets these credentials act on the target; an unknown rule lets nobody."""
        check = self._checks.get(rule)
        return check is not None and check(credentials, target)

    def check(self, rule: str, context: Context, target: Mapping[str, Any]) -> None:
        """Let the caller pass or raise.

        Raises: NotAllowed (403).
        """
        check = self._checks.get(rule)
        if check is None or not check(context.credentials(), target):
            raise NotAllowed(rule=rule)

    def rules(self) -> list[RuleDefault]:
        """Every rule as it is in force, ordered by name."""
        return sorted(self._rules.values(), key=lambda rule: rule.name)

    def require(self, names: Iterable[str]) -> None:
        """Assert that all these rules exist: called while wiring, with every name that the routes use.

        Raises: PolicyError.
        """
        missing = sorted(set(names) - self._rules.keys())
        if missing:
            raise PolicyError(f"no policy rule is declared for: {', '.join(missing)}")


def load_overrides(path: Path | str) -> dict[str, str]:
    """The operator's rules from a YAML or JSON file: a mapping of rule names to checks; the old list form is read too.

    Raises: PolicyError with the file's name; OSError when it cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    rules = _parse_file(path, text)
    if rules is None:
        return {}
    if not isinstance(rules, dict):
        raise PolicyError(f"{path}: a policy file is one mapping of rule names to checks")
    return {str(name): _as_text(path, str(name), check) for name, check in rules.items()}


def _parse_file(path: Path | str, text: str) -> Any:
    if str(path).endswith(".json"):
        import json

        try:
            return json.loads(text)
        except ValueError as error:
            raise PolicyError(f"{path}: {error}") from error
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]  # only where an operator overrides something
    except ImportError as error:
        raise PolicyError(f"{path}: reading YAML needs PyYAML (pip install pyyaml); a .json file does not") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: {error}") from error


def _as_text(path: Path | str, name: str, check: Any) -> str:
    if isinstance(check, str):
        return check
    if not isinstance(check, list):
        raise PolicyError(f"{path}: policy rule {name!r} must be a text, not {check!r}")
    if not check:
        return ""
    alternatives = [[part] if isinstance(part, str) else part for part in check if part]
    if not all(isinstance(part, list) and all(isinstance(word, str) for word in part) for part in alternatives):
        raise PolicyError(f"{path}: policy rule {name!r} must be a text or a list of lists of texts")
    return " or ".join("(" + " and ".join(part) + ")" for part in alternatives) or "!"


# --- the language ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # one of ( ) and or not check end
    text: str
    at: int  # where it begins in the rule's text


def _tokens(text: str) -> list[_Token]:
    """Split as oslo.policy does: at white space, then parentheses off both ends (those of `%(x)s` are never there)."""
    found: list[_Token] = []
    for match in re.finditer(r"\S+", text):
        word, at = match.group(), match.start()
        while word.startswith("("):
            found.append(_Token("(", "(", at))
            word, at = word[1:], at + 1
        bare = word.rstrip(")")
        if bare:
            found.append(_Token(bare.lower() if bare.lower() in ("and", "or", "not") else "check", bare, at))
        found.extend(_Token(")", ")", at + len(bare) + n) for n in range(len(word) - len(bare)))
    found.append(_Token("end", "", len(text)))
    return found


@lru_cache(maxsize=32)
def _compiled(texts: tuple[tuple[str, str], ...]) -> "dict[str, Check]":
    """All rules as closures, which keep nothing: the same texts are compiled once."""
    return _Compiler(dict(texts)).compile_all()


class _Compiler:
    """Turns the texts of all rules into closures; a rule that refers to another holds that one's closure."""

    def __init__(self, texts: Mapping[str, str]):
        self._texts = texts
        self._done: dict[str, Check] = {}
        self._path: list[str] = []

    def compile_all(self) -> dict[str, Check]:
        for name in self._texts:
            self.rule(name)
        return self._done

    def rule(self, name: str) -> Check:
        """The closure of a named rule; one that does not exist denies."""
        if name in self._done:
            return self._done[name]
        if name not in self._texts:
            return _deny
        if name in self._path:
            circle = " -> ".join([*self._path[self._path.index(name) :], name])
            raise PolicyError(f"policy rule {name!r} refers to itself: {circle}")
        self._path.append(name)
        self._done[name] = _Parser(name, self._texts[name], self.rule).parse()
        self._path.pop()
        return self._done[name]


class _Parser:
    """Recursive descent over one rule: `or` binds weakest, then `and`, then `not`."""

    def __init__(self, name: str, text: str, rule: Callable[[str], Check]):
        if not isinstance(text, str):
            raise PolicyError(f"policy rule {name!r} must be a text, not {text!r}")
        self._name, self._text, self._rule = name, text, rule
        self._tokens = _tokens(text)
        self._next = 0

    def parse(self) -> Check:
        if not self._text:
            return _allow
        check = self._or()
        if self._peek() != "end":
            raise self._error(self._take(), "expected 'and', 'or' or the end")
        return check

    def _peek(self) -> str:
        return self._tokens[self._next].kind

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _or(self) -> Check:
        parts = [self._and()]
        while self._peek() == "or":
            self._take()
            parts.append(self._and())
        return _any_of(parts)

    def _and(self) -> Check:
        parts = [self._not()]
        while self._peek() == "and":
            self._take()
            parts.append(self._not())
        return _all_of(parts)

    def _not(self) -> Check:
        token = self._take()
        if token.kind == "not":
            return _none_of(self._not())
        if token.kind == "(":
            check = self._or()
            closing = self._take()
            if closing.kind != ")":
                raise self._error(closing, "expected ')'")
            return check
        if token.kind != "check":
            raise self._error(token, "expected a check")
        return self._check(token)

    def _check(self, token: _Token) -> Check:
        if token.text == "@":
            return _allow
        if token.text == "!":
            return _deny
        kind, colon, match = token.text.partition(":")
        if not colon or not kind or (token.text[0] in "'\"" and token.text[-1] == token.text[0]):
            raise self._error(token, "expected 'kind:value'")
        if kind in ("http", "https"):
            raise self._error(token, "checks by a remote server are not supported")
        if kind == "rule":
            return self._rule(match)
        if kind == "field":
            return self._field(token, match)
        words, fixed = self._words(token, match)
        if kind == "role":
            return _has_role(words, fixed)
        try:
            return _literal_is(str(ast.literal_eval(kind)), words)
        except (ValueError, SyntaxError):
            return _credential_is(kind.split("."), words, fixed)

    def _words(self, token: _Token, match: str) -> tuple[Words, str | None]:
        """How to say the right side for a target, and what it says when no target matters."""
        parts = re.split(r"%(?:\(([^()]*)\)s|(%))", match)
        texts = parts[0::3]
        if any("%" in text for text in texts):
            raise self._error(token, "after '%' only '(name)s' and '%' are understood")
        keys = parts[1::3]
        if not any(key is not None for key in keys):
            fixed = "%".join(texts)
            return (lambda target: fixed), fixed
        if len(keys) == 1 and texts == ["", ""]:
            return _attribute(str(keys[0])), None
        pieces: list[Words] = []
        for text, key in zip(texts, [*keys, ""], strict=True):
            pieces.append(lambda target, text=text: text)  # type: ignore[misc]
            if key != "":
                pieces.append((lambda target: "%") if key is None else _attribute(key))
        return _joined(pieces), None

    def _field(self, token: _Token, match: str) -> Check:
        """Neutron's `field:networks:router:external=True`, or `=~pattern`: an attribute of the target has a value."""
        _, colon, rest = match.partition(":")
        key, equals, value = rest.partition("=")
        if not colon or not equals or not key:
            raise self._error(token, "expected 'field:resource:attribute=value'")
        words = _attribute(key)
        if not value.startswith("~"):
            return lambda credentials, target: words(target) == value
        try:
            pattern = re.compile(value[1:])
        except re.error as error:
            raise self._error(token, f"not a regular expression: {error}") from error
        return lambda credentials, target: pattern.match(words(target) or "") is not None

    def _error(self, token: _Token, complaint: str) -> PolicyError:
        found = f"found {token.text!r}" if token.text else "found the end"
        return PolicyError(
            f"policy rule {self._name!r}, position {token.at + 1}: {complaint}, {found} (in {self._text!r})"
        )


# --- the closures ------------------------------------------------------------------------------------------------


def _allow(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    return True


def _deny(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    return False


def _none_of(check: Check) -> Check:
    if check is _allow:
        return _deny
    if check is _deny:
        return _allow
    return lambda credentials, target: not check(credentials, target)


def _any_of(parts: Sequence[Check]) -> Check:
    if _allow in parts:
        return _allow
    useful = [part for part in parts if part is not _deny]
    if len(useful) < 2:
        return useful[0] if useful else _deny
    first, second, *more = useful
    if more:
        rest = _any_of([second, *more])
        return lambda credentials, target: first(credentials, target) or rest(credentials, target)
    return lambda credentials, target: first(credentials, target) or second(credentials, target)


def _all_of(parts: Sequence[Check]) -> Check:
    if _deny in parts:
        return _deny
    useful = [part for part in parts if part is not _allow]
    if len(useful) < 2:
        return useful[0] if useful else _allow
    first, second, *more = useful
    if more:
        rest = _all_of([second, *more])
        return lambda credentials, target: first(credentials, target) and rest(credentials, target)
    return lambda credentials, target: first(credentials, target) and second(credentials, target)


@lru_cache(maxsize=1024)
def _lowered(roles: frozenset[str]) -> frozenset[str]:
    return frozenset(role.lower() for role in roles)


def _has_role(words: Words, fixed: str | None) -> Check:
    """Whether the caller has a role; roles compare without regard to case."""
    wanted = None if fixed is None else fixed.lower()

    def has_fixed_role(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        roles = credentials.get("roles") or ()
        return wanted in roles or wanted in _lowered(frozenset(roles))

    def has_role(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        name = words(target)
        return name is not None and name.lower() in _lowered(frozenset(credentials.get("roles") or ()))

    return has_role if wanted is None else has_fixed_role


def _literal_is(literal: str, words: Words) -> Check:
    return lambda credentials, target: words(target) == literal


def _credential_is(path: list[str], words: Words, fixed: str | None) -> Check:
    """Whether the credential found by the path says the words; of a list any element may."""
    name, rest = path[0], path[1:]

    def is_fixed(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        return name in credentials and _says(credentials[name], rest, fixed or "")

    def is_of_target(credentials: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
        have = credentials.get(name)
        if have is None or have == "":
            return False
        said = words(target)
        if said is None:
            return False
        return have == said if isinstance(have, str) and not rest else _says(have, rest, said, empty_matches=False)

    return is_of_target if fixed is None else is_fixed


def _says(have: Any, path: Sequence[str], said: str, *, empty_matches: bool = True) -> bool:
    if isinstance(have, list | tuple | Set):
        return any(_one_says(element, path, said, empty_matches) for element in have)
    return _one_says(have, path, said, empty_matches)


def _one_says(have: Any, path: Sequence[str], said: str, empty_matches: bool) -> bool:
    if path:
        if not isinstance(have, Mapping) or path[0] not in have:
            return False
        return _says(have[path[0]], path[1:], said, empty_matches=empty_matches)
    if not empty_matches and (have is None or have == ""):
        return False
    return str(have) == said


_MISSING = object()


def _attribute(key: str) -> Words:
    """An attribute of the target as text: by its whole name, else, when it has dots, step by step."""
    path = key.split(".")

    def plain(target: Mapping[str, Any]) -> str | None:
        value = target.get(key, _MISSING)
        return None if value is _MISSING else str(value)

    def nested(target: Mapping[str, Any]) -> str | None:
        value: Any = target.get(key, _MISSING)
        if value is not _MISSING:
            return str(value)
        value = target
        for step in path:
            if not isinstance(value, Mapping) or step not in value:
                return None
            value = value[step]
        return str(value)

    return nested if len(path) > 1 else plain


def _joined(pieces: Sequence[Words]) -> Words:
    def joined(target: Mapping[str, Any]) -> str | None:
        said = [piece(target) for piece in pieces]
        return None if None in said else "".join(str(text) for text in said)

    return joined
