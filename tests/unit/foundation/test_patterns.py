"""Users' regular expressions: understood, refused, never slow."""

import pytest

from pileus.foundation.patterns import LONGEST, BadPattern, searcher


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("web", "my-web-1", True),
        ("^web", "my-web-1", False),
        ("web-\\d$", "my-web-1", True),
        ("a|b", "b", True),
        ("", "anything", True),
        ("WEB", "web", False),
        ("^10\\.0\\.", "10.0.0.1", True),
        ("é+", "caféé", True),
    ],
)
def test_a_pattern_is_searched_for(pattern: str, text: str, found: bool) -> None:
    assert searcher(pattern)(text) is found


@pytest.mark.parametrize("pattern", ["(", "[a", "*a", "(?=a)", "(a)\\1", "a{1000}{1000}{1000}", "x" * (LONGEST + 1)])
def test_what_is_no_pattern_or_could_be_slow_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        searcher(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a*)*b", "([a-z]+)*!"])
def test_patterns_that_stall_other_engines_answer(pattern: str) -> None:
    """With backtracking each of these would take longer than a year."""
    assert searcher(pattern)("a" * 200 + "?") is False
