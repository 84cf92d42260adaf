"""The laws of the house, as functions from source text to violations; they know no file of the house by name."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.house import plan

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Violation:
    module: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Module:
    """One source file of the package, parsed."""

    name: str  # "pileus.compute.domain.server"
    tree: ast.Module
    is_package: bool = False

    @property
    def unit(self) -> str:
        """The first part below the package: a wing, "foundation", "cli" ..."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def room(self) -> str:
        """The room of a wing's module; empty for the wing's own root."""
        return room_of(self.name)


def room_of(name: str) -> str:
    parts = name.split(".")
    return parts[2] if len(parts) > 2 and parts[1] in plan.WINGS and parts[2] in plan.ROOMS else ""


def module(name: str, source: str, is_package: bool = False) -> Module:
    return Module(name, ast.parse(source), is_package)


def package_modules(root: Path = ROOT) -> list[Module]:
    """Every module of the package on disk."""
    found = []
    for path in sorted((root / "pileus").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(module(name, path.read_text(), is_package))
    return found


@dataclass(frozen=True)
class Import:
    target: str  # the module, and what is taken out of it: "pileus.compute.domain.server.Server"
    line: int


def imports(mod: Module) -> Iterator[Import]:
    """Everything a module imports anywhere, inside functions and under TYPE_CHECKING too; relative names resolved."""
    for node in ast.walk(mod.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = mod.name.split(".")
                keep = len(parts) - node.level + (1 if mod.is_package else 0)
                base = ".".join([*parts[:keep], *([base] if base else [])])
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno)


def _is_within(target: str, name: str) -> bool:
    return target == name or target.startswith(name + ".")


def _own(mod: Module) -> Iterator[tuple[Import, str]]:
    """Imports of the package itself, each with the unit it reaches."""
    for item in imports(mod):
        parts = item.target.split(".")
        if parts[0] == "pileus":
            known = len(parts) > 1 and parts[1] in plan.FLOORS
            yield item, parts[1] if known else ""


# -- who may import whom -----------------------------------------------------------------------------------
def imports_point_down(mod: Module) -> Iterator[Violation]:
    if mod.unit not in plan.FLOORS:
        yield Violation(mod.name, 1, f"'{mod.unit}' has no floor: give it one in tests/house/plan.py")
        return
    for item, unit in _own(mod):
        if unit == mod.unit:
            continue
        if mod.unit in plan.WINGS and unit in plan.WINGS:
            yield Violation(mod.name, item.line, f"wing {mod.unit} imports wing {unit} ({item.target})")
        elif plan.FLOORS[unit] >= plan.FLOORS[mod.unit] and unit:
            yield Violation(mod.name, item.line, f"{mod.unit} imports {item.target}, which is not below it")


def one_unit_knows_all_wings(mods: list[Module]) -> Iterator[Violation]:
    for mod in mods:
        if mod.unit == plan.KNOWS_ALL_WINGS:
            continue
        wings = {unit for _, unit in _own(mod) if unit in plan.WINGS}
        if len(wings) > 1:
            yield Violation(mod.name, 1, f"knows several wings: {', '.join(sorted(wings))}")


def rooms_keep_their_doors(mod: Module) -> Iterator[Violation]:
    """A room imports only the rooms the plan allows, and never its wing's root."""
    if not mod.room:
        return
    allowed = plan.ROOMS[mod.room] | {mod.room}
    for item, unit in _own(mod):
        if unit != mod.unit:
            continue
        room = room_of(item.target)
        if room not in allowed:
            yield Violation(mod.name, item.line, f"room {mod.room} imports {item.target}")


def app_leaves_drivers_to_the_host(mods: list[Module]) -> Iterator[Violation]:
    """Where a wing has a host, only the host holds drivers."""
    hosted = {mod.unit for mod in mods if mod.room == "host"}
    for mod in mods:
        if mod.room == "app" and mod.unit in hosted:
            for item, unit in _own(mod):
                if unit == mod.unit and room_of(item.target) == "drivers":
                    yield Violation(mod.name, item.line, f"app imports {item.target}, though {mod.unit} has a host")


def hosts_reach_no_database(mods: list[Module]) -> Iterator[Violation]:
    """No chain of imports leads from a host's room to SQL or a store; what the ground does below is its own affair."""
    graph = _graph(mods)
    for mod in mods:
        if mod.room not in plan.ROOMS_WITHOUT_DATABASE:
            continue
        chain = _chain_to_database(mod.name, graph)
        if chain:
            yield Violation(mod.name, 1, "reaches a database: " + " -> ".join(chain))


def _graph(mods: list[Module]) -> dict[str, set[str]]:
    names = {mod.name for mod in mods}
    graph: dict[str, set[str]] = {}
    for mod in mods:
        targets = set()
        for item in imports(mod):
            owner, _, taken = item.target.rpartition(".")
            is_whole = item.target in names or taken in plan.DATABASE_NAMES or owner not in names
            targets.add(item.target if is_whole else owner)
        graph[mod.name] = targets
    return graph


def _chain_to_database(start: str, graph: Mapping[str, set[str]]) -> list[str]:
    paths, seen = [[start]], {start}
    while paths:
        path = paths.pop(0)
        for target in sorted(graph.get(path[-1], ())):
            if _is_database(target):
                return [*path, target]
            if target not in seen and not _is_within(target, "pileus.foundation"):
                seen.add(target)
                paths.append([*path, target])
    return []


def _is_database(target: str) -> bool:
    if target.rpartition(".")[2] in plan.DATABASE_NAMES:
        return True
    return room_of(target) == "store" or any(_is_within(target, name) for name in plan.DATABASE_MODULES)


# -- what a module may touch -------------------------------------------------------------------------------
def domain_is_pure(mod: Module) -> Iterator[Violation]:
    if mod.room != "domain":
        return
    for item in imports(mod):
        for name in plan.NOT_IN_DOMAIN:
            if _is_within(item.target, name):
                yield Violation(mod.name, item.line, f"domain imports {item.target}")
    for node in ast.walk(mod.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith | ast.AsyncFor):
            yield Violation(mod.name, node.lineno, "domain waits for something")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print"}:
            yield Violation(mod.name, node.lineno, f"domain calls {node.func.id}()")


def only_foundation_touches_the_machine(mod: Module) -> Iterator[Violation]:
    if mod.unit == "foundation":
        return
    for item in imports(mod):
        if _is_of_the_machine(item.target) or any(_is_within(item.target, name) for name in plan.MACHINE_MODULES):
            yield Violation(mod.name, item.line, f"imports {item.target}")
    aliases = _aliases(mod)
    for node in ast.walk(mod.tree):
        if isinstance(node, ast.Attribute):
            name = _dotted(node, aliases)
            if _is_of_the_machine(name):
                yield Violation(mod.name, node.lineno, f"uses {name}")
            elif node.attr in plan.MACHINE_METHODS and "runtime" not in _dotted(node.value, aliases):
                yield Violation(mod.name, node.lineno, f"uses .{node.attr}()")


def _is_of_the_machine(name: str) -> bool:
    return name in plan.MACHINE_NAMES or name.startswith(plan.MACHINE_NAME_PREFIXES)


def only_drivers_hold_bindings(mod: Module) -> Iterator[Violation]:
    for item in imports(mod):
        if item.target.split(".")[0] in plan.DRIVER_MODULES and mod.room != "drivers":
            yield Violation(mod.name, item.line, f"imports {item.target} outside a drivers room")


def nothing_runs_text(mod: Module) -> Iterator[Violation]:
    """No shell, no eval, no format that runs code when it is read."""
    for item in imports(mod):
        if item.target.split(".")[0] in plan.FORBIDDEN_MODULES:
            yield Violation(mod.name, item.line, f"imports {item.target}")
    aliases = _aliases(mod)
    for node in ast.walk(mod.tree):
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func, aliases)
        if name in plan.FORBIDDEN_CALLS:
            yield Violation(mod.name, node.lineno, f"calls {name}()")
        for keyword in node.keywords:
            if keyword.arg == "shell" and getattr(keyword.value, "value", None) is not False:
                yield Violation(mod.name, node.lineno, "passes shell=")


def _aliases(mod: Module) -> dict[str, str]:
    """What each imported name stands for: {"dt": "datetime.datetime", "asyncio": "asyncio"}."""
    names: dict[str, str] = {}
    for node in ast.walk(mod.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.AST, aliases: Mapping[str, str]) -> str:
    """The full dotted name of an expression, imports followed; empty when it is not a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(aliases.get(node.id, node.id))
    return ".".join(reversed(parts))


# -- commands ----------------------------------------------------------------------------------------------
_NEEDS_FORMAT = {"amend", "bench", "check", "commit", "compare", "convert", "create", "dd", "info", "map", "measure",
                 "rebase", "resize", "snapshot"}  # fmt: skip


def disk_tools_name_formats(mod: Module) -> Iterator[Violation]:
    """Each qemu-img line is written whole, in one list, and says which format it reads (and that of a backing file)."""
    in_lists: set[int] = set()
    for node in ast.walk(mod.tree):
        if isinstance(node, ast.List | ast.Tuple):
            for at, element in enumerate(node.elts):
                if _text(element) == "qemu-img":
                    in_lists.add(id(element))
                    problem = _qemu_img_problem([_text(item) for item in node.elts[at + 1 :]])
                    if problem:
                        yield Violation(mod.name, element.lineno, problem)
        elif isinstance(node, ast.Call) and _dotted(node.func, {}).rpartition(".")[2] in {
            "which",
            "find_command",
            "_command",
        }:
            in_lists.update(id(item) for item in node.args)
    for node in ast.walk(mod.tree):
        if _text(node) == "qemu-img" and id(node) not in in_lists:
            yield Violation(mod.name, getattr(node, "lineno", 1), "qemu-img: write the whole line in one list")


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _qemu_img_problem(rest: list[str | None]) -> str:
    command = rest[0] if rest else None
    if command == "--version":
        return ""
    if command not in _NEEDS_FORMAT:
        return f"qemu-img: unknown command {command!r}"
    if "-f" not in rest:
        return f"qemu-img {command} without -f"
    if command == "convert" and "-O" not in rest:
        return "qemu-img convert without -O"
    if "-b" in rest and "-F" not in rest:
        return f"qemu-img {command} -b without -F"
    return ""


# -- size --------------------------------------------------------------------------------------------------
def is_short_enough(name: str, text: str) -> Iterator[Violation]:
    lines = text.count("\n")
    if lines > plan.FILE_LINES:
        yield Violation(name, lines, f"{lines} lines: past {plan.FILE_LINES} a file holds two nouns")
