"""What projects used within a period."""

from pileus.compute.domain.server import Server
from pileus.compute.domain.usage import ProjectUsage, add_up
from pileus.compute.service import Compute
from pileus.compute.store import usage


async def of_project(
    compute: Compute, project_id: str, *, start: int, stop: int, marker: str | None, limit: int
) -> ProjectUsage:
    """One project's usage, of at most `limit` servers after the server `marker`."""
    found = await usage.servers(compute.database, project_id, start=start, stop=stop, after=marker or "", limit=limit)
    return add_up(project_id, found, start=start, stop=stop, now=compute.runtime.now())


async def of_all(compute: Compute, *, start: int, stop: int, marker: str | None, limit: int) -> list[ProjectUsage]:
    """The usage of every project, of at most `limit` servers in all; a project may go on on the next page."""
    by_project: dict[str, list[Server]] = {}
    for server in await usage.servers(compute.database, None, start=start, stop=stop, after=marker or "", limit=limit):
        by_project.setdefault(server.project_id, []).append(server)
    now = compute.runtime.now()
    found = [add_up(project_id, of_it, start=start, stop=stop, now=now) for project_id, of_it in by_project.items()]
    return [one for one in found if one.servers]
