"""Draws the generated part of docs/life-of-a-volume.md from the table of rules in `pileus.volume.domain`.

.venv/bin/python -m tools.life_of_a_volume            writes the document anew
.venv/bin/python -m tools.life_of_a_volume --check    exits 1 when it is not as the code says
"""

import re
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

from pileus.volume.domain.volume_states import ANY, RULES, Action, Rule, VolumeStatus

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "life-of-a-volume.md"
_PART = re.compile(r"<!-- begin rules -->\n.*?<!-- end rules -->", re.DOTALL)


def rules_table() -> str:
    """Every rule as a row."""
    head = ("action", "status", "also", "shows", "a failure leaves")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_row(action, rule)) + " |" for action, rule in RULES.items()]
    return "\n".join(lines)


def _row(action: Action, rule: Rule) -> tuple[str, ...]:
    also = f"{_statuses(rule.more)} ({rule.when})" if rule.more else ""
    fails = f"`{rule.fails_in.value}`" if rule.fails_in else ("where it began" if rule.shows else "")
    return f"`{action.value}`", _statuses(rule.statuses), also, ", ".join(f"`{one}`" for one in rule.shows), fails


def _statuses(statuses: AbstractSet[VolumeStatus]) -> str:
    if statuses == ANY:
        return "any"
    without = [status for status in VolumeStatus if status not in statuses]
    if len(without) < 3:
        return "any but " + ", ".join(f"`{status.value}`" for status in without)
    return ", ".join(f"`{status.value}`" for status in VolumeStatus if status in statuses)


def render(document: str) -> str:
    """The document with its generated part drawn anew."""
    drawn = f"<!-- begin rules -->\n{rules_table()}\n<!-- end rules -->"
    return _PART.sub(lambda _: drawn, document)


def main() -> int:
    document = DOCUMENT.read_text(encoding="utf-8")
    drawn = render(document)
    if "--check" in sys.argv[1:]:
        return int(drawn != document)
    DOCUMENT.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
