"""What a caller wants to see of all images: filters, order, one page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte", "in", "min", "max")


@dataclass(frozen=True, slots=True)
class Filter:
    """`name` compared with `values`; all but "in" have one value. A name that is no column is a property's."""

    name: str
    comparison: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the images that a project may see. An administrator (`everything`) sees all projects'."""

    project_id: str
    everything: bool = False
    visibility: str = ""  # "all" takes in other projects' community images
    member_status: str = "accepted"
    tags: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: Sequence[tuple[str, bool]] = field(default=(("created_at", True),))  # name, whether it falls
    marker: str = ""
    limit: int = 25
