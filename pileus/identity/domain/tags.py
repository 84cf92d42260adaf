"""Lists of projects chosen by their tags."""

from collections.abc import Collection, Mapping, Sequence
from typing import Optional

import msgspec


class TagFilter(msgspec.Struct, frozen=True, gc=False):
    """All of, any of, not all of, none of: each a set of tags, empty where not asked."""

    all_of: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    not_all_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()

    @classmethod
    def read(cls, query: Mapping[str, Sequence[str]]) -> Optional["TagFilter"]:
        """The filter in a query string; None when it says nothing of tags."""
        parts = [_tags(query.get(name, ())) for name in ("tags", "tags-any", "not-tags", "not-tags-any")]
        return cls(*parts) if any(parts) else None

    def fits(self, tags: Collection[str]) -> bool:
        have = set(tags)
        return (
            self.all_of <= have
            and (not self.any_of or bool(self.any_of & have))
            and (not self.not_all_of or not self.not_all_of <= have)
            and not self.none_of & have
        )


def _tags(values: Sequence[str]) -> frozenset[str]:
    return frozenset(tag for value in values for tag in value.split(",") if tag)
