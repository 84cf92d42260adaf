"""Finding what a path names and asking policy about it: what may not be seen is not there."""

from pileus.compute.app import servers
from pileus.compute.domain.server import Server
from pileus.compute.service import Compute
from pileus.foundation.http.request import Request
from pileus.foundation.http.schema import Param, Query

NO_QUERY = Query(additional_until="2.101")
"""Operations without parameters pass over what they do not know, up to 2.101."""


def query(*params: Param, additional_until: str = "2.101") -> Query:
    """The query string of an operation; unknown parameters are refused once its microversions are over."""
    return Query(*params, additional_until=additional_until)


async def reach_server(request: Request[Compute]) -> Server:
    """The server that the path names, once the route's rule allows this caller to act on it.

    Raises: ServerNotFound (404), NotAllowed (403).
    """
    server = await servers.get(request.service, request.context, request.params["server_id"])
    request.authorize(target_of(server))
    return server


def target_of(server: Server) -> dict[str, str]:
    """What rules may ask of a server."""
    return {"project_id": server.project_id, "user_id": server.user_id}


def own_target(request: Request[Compute]) -> dict[str, str]:
    """What rules may ask when nothing but the caller's own project is concerned."""
    return {"project_id": request.context.project_id, "user_id": request.context.user_id}
