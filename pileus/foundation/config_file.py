"""Settings as one typed tree: read from TOML and the environment, shown as a sample file.

A section is a msgspec struct, a setting one of its fields, declared as `config` tells. A field that another setting
decides cannot be set by itself and is not shown.
"""

import difflib
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from pileus.foundation.errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)

PREFIX = "PILEUS_"
SEPARATOR = "__"
WIDTH = 96


class WrongConfig(BadRequest):
    code = "config.wrong"
    message = "{where}: {what}"


class Setting(msgspec.Struct, frozen=True):
    """One setting, or one section of them."""

    path: tuple[str, ...]
    type: Any
    meaning: str
    default: Any
    decided_by: str = ""

    @property
    def name(self) -> str:
        return ".".join(self.path)


def settings_of(tree: type[msgspec.Struct], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Every setting below a section, in the order of declaration; sections themselves are not listed."""
    hints = get_type_hints(tree, include_extras=True)
    for field in msgspec.structs.fields(tree):
        kind, metas = _unwrap(hints[field.name])
        here = (*path, field.encode_name)
        if is_section(kind):
            yield from settings_of(kind, here)
            continue
        said = " ".join(meta.description for meta in metas if meta.description)
        decider = next((meta.extra["decided_by"] for meta in metas if meta.extra), "")
        yield Setting(here, kind, said, _default(field), decider)


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _unwrap(hint: Any) -> tuple[Any, list[msgspec.Meta]]:
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        return kind, [extra for extra in extras if isinstance(extra, msgspec.Meta)]
    return hint, []


def _default(field: Any) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return None if field.default is msgspec.NODEFAULT else field.default


# -- reading ----------------------------------------------------------------------------------------------------------
def read_config(tree: type[S], file: Path | None, environ: Mapping[str, str]) -> S:
    """The settings of a TOML file, with what the environment says in place of it. Raises: WrongConfig."""
    document = _load(file) if file is not None else {}
    known = {setting.path: setting for setting in settings_of(tree)}
    _check(document, known, (), str(file))
    for name, value in sorted(environ.items()):
        if name.startswith(PREFIX) and (SEPARATOR in name or _path(name) in known):  # others are not about settings
            _override(document, known, name, value)
    try:
        return msgspec.convert(document, tree, strict=True, dec_hook=_read_path)
    except msgspec.ValidationError as error:
        what = str(error).replace("`$.", "`")
        raise WrongConfig(where=file or "settings", what=f"{what}. See docs/pileus.toml.sample.") from error


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise WrongConfig(where=file, what=f"cannot be read: {error.strerror}. Name another with --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongConfig(where=file, what=f"is no TOML: {error}") from error


def _check(
    found: Mapping[str, Any], known: Mapping[tuple[str, ...], Setting], path: tuple[str, ...], file: str
) -> None:
    for key, value in found.items():
        here = (*path, key)
        setting = known.get(here)
        if setting is not None:
            _check_free(setting, file)
        elif isinstance(value, Mapping) and any(name[: len(here)] == here for name in known):
            _check(value, known, here, file)
        else:
            raise WrongConfig(where=file, what=_unknown(".".join(here), [one.name for one in known.values()]))


def _check_free(setting: Setting, where: str) -> None:
    if setting.decided_by:
        raise WrongConfig(where=where, what=f"{setting.name} follows from {setting.decided_by}: set that.")


def _unknown(name: str, known: list[str]) -> str:
    sections = {one.rpartition(".")[0] for one in known} - {""}
    near = difflib.get_close_matches(name, [*known, *sections], 1, 0.0)
    last = difflib.get_close_matches(name.rpartition(".")[2], [one.rpartition(".")[2] for one in known], 1, 0.8)
    same = [one for one in known if last and one.rpartition(".")[2] == last[0]]
    guess = (difflib.get_close_matches(name, same, 1, 0.0) or near or [""])[0]
    return f"there is no setting {name}. Did you mean {guess}? All of them are in docs/pileus.toml.sample."


def _override(document: dict[str, Any], known: Mapping[tuple[str, ...], Setting], name: str, value: str) -> None:
    path = _path(name)
    setting = known.get(path)
    if setting is None:
        names = {PREFIX + SEPARATOR.join(one.path).upper(): one for one in known.values()}
        guess = difflib.get_close_matches(name, list(names), 1, 0.0)[0]
        raise WrongConfig(where="environment", what=f"there is no setting {name}. Did you mean {guess}?")
    _check_free(setting, "environment")
    section = document
    for part in path[:-1]:
        section = section.setdefault(part, {})
    section[path[-1]] = _from_text(setting, name, value)


def _path(name: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in name.removeprefix(PREFIX).split(SEPARATOR))


def _from_text(setting: Setting, name: str, text: str) -> Any:
    """Text is itself where a text is wanted; numbers and truth as TOML has them; lists and tables as JSON."""
    if setting.type in (str, Path):
        return text
    try:
        if setting.type in (int, float, bool):
            return msgspec.convert(text, setting.type, strict=False)
        return msgspec.json.decode(text)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise WrongConfig(where="environment", what=f"{name}: {error}") from error


def _read_path(kind: Any, value: Any) -> Any:
    if kind is object:
        return value
    if not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return Path(value)


# -- showing ----------------------------------------------------------------------------------------------------------
def sample(tree: type[msgspec.Struct], head: str) -> str:
    """A file with every setting, its meaning and its default; all of it is commented out."""
    lines = [f"# {line}".rstrip() for line in head.splitlines()]
    section: tuple[str, ...] | None = None
    docs = dict(_sections(tree))
    for setting in settings_of(tree):
        if setting.decided_by:
            continue
        if setting.path[:-1] != section:
            section = setting.path[:-1]
            lines += ["", f"[{'.'.join(section)}]" if section else ""]
            lines += _comment(docs.get(section, ""))
        lines += ["", *_comment(setting.meaning), f"# {setting.path[-1]} = {_toml(setting.default)}"]
    return "\n".join(lines).strip() + "\n"


def _sections(tree: type[msgspec.Struct], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for field in msgspec.structs.fields(tree):
        kind, _ = _unwrap(get_type_hints(tree, include_extras=True)[field.name])
        if is_section(kind):
            here = (*path, field.encode_name)
            yield here, (kind.__doc__ or "").strip().partition("\n\n")[0]
            yield from _sections(kind, here)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, int | float):
        return repr(value)
    return msgspec.json.encode("" if value is None else str(value)).decode()
