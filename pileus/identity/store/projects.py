"""Rows of projects and domains."""

from collections.abc import Sequence
from typing import Any

from pileus.foundation.database import Database, Transaction, sql
from pileus.identity.domain.filters import Condition
from pileus.identity.domain.project import Project, name_key
from pileus.identity.store import documents
from pileus.identity.store.filters import selection

_COLUMNS = "id, name, domain_id, parent_id, is_domain, description, enabled, options, extra"
_SELECT = f"SELECT {_COLUMNS} FROM identity_projects"
_GET = sql(f"{_SELECT} WHERE id = :id")
_BY_NAME = sql(f"{_SELECT} WHERE domain_id = :domain_id AND name_key = :name_key")
_AMONG = sql(f"{_SELECT} WHERE id IN :ids* ORDER BY id")
_INSERT = sql(
    "INSERT INTO identity_projects (id, name, name_key, domain_id, parent_id, is_domain, description, enabled,"
    " options, extra) VALUES (:id, :name, :name_key, :domain_id, :parent_id, :is_domain, :description, :enabled,"
    " :options, :extra)"
)
_UPDATE = sql(
    "UPDATE identity_projects SET name = :name, name_key = :name_key, description = :description, enabled = :enabled,"
    " options = :options, extra = :extra WHERE id = :id"
)
_DELETE = sql("DELETE FROM identity_projects WHERE id = :id")
_CHILDREN = sql("SELECT id FROM identity_projects WHERE parent_id = :id ORDER BY id")
_IN_DOMAIN = sql("SELECT id FROM identity_projects WHERE domain_id = :id ORDER BY id")
_ABOVE = sql(
    "WITH RECURSIVE above (id, parent_id, depth) AS ("
    " SELECT id, parent_id, 0 FROM identity_projects WHERE id = :id"
    " UNION ALL SELECT p.id, p.parent_id, a.depth + 1 FROM identity_projects p JOIN above a ON p.id = a.parent_id)"
    " SELECT id FROM above WHERE depth > 0 ORDER BY depth"
)
_BELOW = sql(
    "WITH RECURSIVE below (id, depth) AS ("
    " SELECT id, 0 FROM identity_projects WHERE id = :id"
    " UNION ALL SELECT p.id, b.depth + 1 FROM identity_projects p JOIN below b ON p.parent_id = b.id)"
    " SELECT id FROM below WHERE depth > 0 ORDER BY depth, id"
)
_TAGS = sql("SELECT tag FROM identity_project_tags WHERE project_id = :id ORDER BY tag")
_TAGS_AMONG = sql("SELECT project_id, tag FROM identity_project_tags WHERE project_id IN :ids* ORDER BY tag")
_ALL_TAGS = sql("SELECT project_id, tag FROM identity_project_tags ORDER BY tag")
_ADD_TAG = sql("INSERT INTO identity_project_tags (project_id, tag) VALUES (:id, :tag) ON CONFLICT DO NOTHING")
_DROP_TAG = sql("DELETE FROM identity_project_tags WHERE project_id = :id AND tag = :tag")
_DROP_TAGS = sql("DELETE FROM identity_project_tags WHERE project_id = :id")

Reads = Database | Transaction


def _project(row: Any, tags: tuple[str, ...] = ()) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        domain_id=row["domain_id"] or None,
        parent_id=row["parent_id"] or None,
        is_domain=bool(row["is_domain"]),
        description=row["description"],
        enabled=bool(row["enabled"]),
        options=documents.read(row["options"]),
        extra=documents.read(row["extra"]),
        tags=tags,
    )


async def find(db: Reads, id: str) -> Project | None:
    """A project or domain with its tags."""
    row = await db.one(_GET, id=id)
    return None if row is None else _project(row, await tags_of(db, id))


async def find_untagged(db: Reads, id: str) -> Project | None:
    """A project or domain; its tags are not read."""
    row = await db.one(_GET, id=id)
    return None if row is None else _project(row)


async def find_by_name(db: Reads, name: str, domain_id: str) -> Project | None:
    """A project of the domain by name; with the empty domain, a domain."""
    row = await db.one(_BY_NAME, domain_id=domain_id, name_key=name_key(name))
    return None if row is None else _project(row)


async def among(db: Reads, ids: Sequence[str]) -> list[Project]:
    """Those of `ids` that exist, with their tags, ordered by id."""
    rows = await db.all(_AMONG, ids=list(ids))
    tags = _grouped(await db.all(_TAGS_AMONG, ids=list(ids))) if rows else {}
    return [_project(row, tuple(tags.get(row["id"], ()))) for row in rows]


async def listed(db: Reads, conditions: Sequence[Condition], most: int | None = None) -> list[Project]:
    """Projects and domains that meet all conditions, ordered by id."""
    statement, values = selection(_SELECT, conditions, "id", most)
    rows = await db.all(statement, **values)
    tags = _grouped(await db.all(_ALL_TAGS)) if rows else {}
    return [_project(row, tuple(tags.get(row["id"], ()))) for row in rows]


def _grouped(rows: Sequence[Any]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for row in rows:
        grouped.setdefault(row["project_id"], []).append(row["tag"])
    return grouped


async def insert(tx: Transaction, project: Project) -> None:
    """Raises: Duplicate when the name is taken in its domain."""
    await tx.run(
        _INSERT,
        id=project.id,
        name=project.name,
        name_key=name_key(project.name),
        domain_id=project.domain_id or "",
        parent_id=project.parent_id or "",
        is_domain=int(project.is_domain),
        description=project.description,
        enabled=int(project.enabled),
        options=documents.write(project.options),
        extra=documents.write(project.extra),
    )
    for tag in project.tags:
        await tx.run(_ADD_TAG, id=project.id, tag=tag)


async def update(tx: Transaction, project: Project) -> None:
    """Write everything but id, domain, parent and tags. Raises: Duplicate when the name is taken."""
    await tx.run(
        _UPDATE,
        id=project.id,
        name=project.name,
        name_key=name_key(project.name),
        description=project.description,
        enabled=int(project.enabled),
        options=documents.write(project.options),
        extra=documents.write(project.extra),
    )


async def delete(tx: Transaction, id: str) -> None:
    await tx.run(_DROP_TAGS, id=id)
    await tx.run(_DELETE, id=id)


async def children(db: Reads, id: str) -> list[str]:
    return [row["id"] for row in await db.all(_CHILDREN, id=id)]


async def in_domain(db: Reads, domain_id: str) -> list[str]:
    return [row["id"] for row in await db.all(_IN_DOMAIN, id=domain_id)]


async def above(db: Reads, id: str) -> list[str]:
    """The parents, nearest first, the domain last."""
    return [row["id"] for row in await db.all(_ABOVE, id=id)]


async def below(db: Reads, id: str) -> list[str]:
    """Everything under a project or domain, nearest first."""
    return [row["id"] for row in await db.all(_BELOW, id=id)]


async def tags_of(db: Reads, id: str) -> tuple[str, ...]:
    return tuple(row["tag"] for row in await db.all(_TAGS, id=id))


async def set_tags(tx: Transaction, id: str, tags: Sequence[str]) -> None:
    await tx.run(_DROP_TAGS, id=id)
    for tag in tags:
        await tx.run(_ADD_TAG, id=id, tag=tag)


async def add_tag(tx: Transaction, id: str, tag: str) -> None:
    await tx.run(_ADD_TAG, id=id, tag=tag)


async def drop_tag(tx: Transaction, id: str, tag: str) -> bool:
    """Whether the project had the tag."""
    return await tx.run(_DROP_TAG, id=id, tag=tag) > 0
