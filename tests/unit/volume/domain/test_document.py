"""The document of a volume's life says what the code says."""

from pileus.volume.domain.volume_states import RULES
from pileus.volume.drivers.rehearsal import WORDS
from tools.life_of_a_volume import DOCUMENT, render, rules_table


def test_the_document_is_as_the_code_says() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert render(document) == document, "draw it again: .venv/bin/python -m tools.life_of_a_volume"


def test_every_rule_is_a_row_and_every_word_of_a_rehearsal_is_named() -> None:
    assert all(f"| `{action.value}` |" in rules_table() for action in RULES)
    document = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"`{word}`" in document for word in WORDS)
