"""What a provider is like: the standard traits, and those that operators add under CUSTOM_."""

from functools import lru_cache

SHARES = "MISC_SHARES_VIA_AGGREGATE"
"""A provider with it hands out its resources to the trees whose aggregates it is in."""


@lru_cache(maxsize=1)
def standard() -> frozenset[str]:
    """The names of all standard traits, loaded when first asked for."""
    from pileus.placement.domain.standard_traits import NAMES

    return frozenset(NAMES.split())


def is_standard(name: str) -> bool:
    return not name.startswith("CUSTOM_") and name in standard()
