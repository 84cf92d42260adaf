"""Sections of docs/reliability.md that commands write: each stands between two comments that name it."""

from pathlib import Path

PAPER = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"


def put(section: str, text: str, paper: Path = PAPER) -> None:
    """Replace what stands in a section of the paper."""
    begin, end = f"<!-- {section}: written by the command -->\n", f"<!-- end of {section} -->"
    before, found, rest = paper.read_text().partition(begin)
    assert found, f"{paper} has no section {section}"
    paper.write_text(before + begin + "\n" + text.strip() + "\n\n" + end + rest.partition(end)[2])
