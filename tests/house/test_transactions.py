"""What a body of a transaction may not do: it may run twice, beside others, on a connection that others use later."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.rules import Module, module, package_modules

OUTSIDE = frozenset({"database", "_database", "bus", "runner"})
SESSION = re.compile(
    r"\b(UN)?LISTEN\b|\bNOTIFY\b|\bSET (SESSION|LOCAL|TIME ZONE|ROLE)\b|\bpg_(try_)?advisory_(un)?lock(_shared)?\b"
    r"|\bTEMP(ORARY)? TABLE\b|\bDECLARE\b.*\bCURSOR\b|\bPREPARE\b|\bnow\(\)|\bCURRENT_TIMESTAMP\b"
)
"""What outlives a transaction on its connection; and times, which come from the injected clock."""


def reaches_outside(mod: Module) -> Iterator[str]:
    """A body that awaits another connection may wait for itself, and sees another moment."""
    for node in ast.walk(mod.tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.FunctionDef, ast.Lambda)) and any(
            argument.arg == "tx" for argument in node.args.args
        ):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                    owner = inner.func.value
                    if isinstance(owner, ast.Attribute) and owner.attr in OUTSIDE:
                        yield f"{mod.name}:{inner.lineno}: a transaction calls {ast.unparse(inner.func)}"
                for argument in inner.args if isinstance(inner, ast.Call) else ():
                    if isinstance(argument, ast.Attribute) and argument.attr in ("database", "_database"):
                        yield f"{mod.name}:{inner.lineno}: a transaction hands on {ast.unparse(argument)}"


def session_words(mod: Module) -> Iterator[str]:
    if not mod.name.startswith("pileus.foundation.database"):
        for node in ast.walk(mod.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and SESSION.search(node.value):
                yield f"{mod.name}:{node.lineno}: {node.value!r}"


@pytest.mark.parametrize("law", [reaches_outside, session_words])
def test_the_house_keeps_it(law: object) -> None:
    assert [found for mod in package_modules() for found in law(mod)] == []  # type: ignore[operator]


def test_the_laws_see_what_they_forbid() -> None:
    bad = module(
        "pileus.toys.app.toys",
        "async def work(tx):\n await service.database.one(X)\n await find(service.database)\n"
        "X = sql('LISTEN toys')\nY = sql('SELECT now()')\n",
    )
    assert len(list(reaches_outside(bad))) == 2
    assert len(list(session_words(bad))) == 2
