"""The table of operations of a service, and the trie that finds one by method and path."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pileus.foundation.http.versions import Version, parse_version

if TYPE_CHECKING:
    from pileus.foundation.http.request import Request, Response
    from pileus.foundation.http.schema import Body, Query

Handler = Callable[["Request[Any]"], Awaitable["Response"]]


@dataclass(frozen=True)
class Route:
    """One operation.

    `policy` None means that no token is needed, "" that any valid token will do. With `late` the handler itself calls
    `request.authorize(target)` once it knows what is asked for (the application refuses to send a success without);
    otherwise the door asks policy with the caller's own project as the target. `op` is the row of the API reference.
    """

    method: str
    path: str  # "/servers/{server_id}", from the service's root, version segment included
    handler: Handler
    policy: str | None
    op: str
    success: int = 200
    body: "Body | None" = None
    query: "Query | None" = None
    action: str = ""  # the key of a POST .../action body
    since: str = ""
    until: str = ""
    late: bool = False
    upload: bool = False  # the handler reads the request's body as a stream
    media: tuple[str, ...] = ("application/json",)  # what the body may be
    max_body: int = 0  # bytes; 0: the service's own limit
    first: Version = field(init=False)
    last: Version = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", parse_version(self.since) or (0, 0))
        object.__setattr__(self, "last", parse_version(self.until) or (9999, 9999))


class Node:
    """One place in the trie: fixed children by segment, one child for a parameter, the routes that end here."""

    __slots__ = ("fixed", "names", "parameter", "routes")

    def __init__(self) -> None:
        self.fixed: dict[str, Node] = {}
        self.parameter: Node | None = None
        self.routes: dict[str, list[Route]] = {}
        self.names: dict[int, tuple[str, ...]] = {}

    def methods(self) -> list[str]:
        return sorted(self.routes)


class Router:
    """Finds the node of a path in one walk; fixed segments win over parameters."""

    def __init__(self, routes: Iterable[Route]):
        self.routes: Sequence[Route] = tuple(routes)
        self._root = Node()
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in _segments(route.path):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = Node()
                node = node.parameter
            else:
                node = node.fixed.setdefault(segment, Node())
        node.routes.setdefault(route.method, []).append(route)
        node.names[id(route)] = tuple(names)

    def find(self, path: str) -> tuple[Node, list[str]] | None:
        """The node of `path` and the values of its parameters, or None."""
        return self._walk(self._root, _segments(path), 0, [])

    def _walk(self, node: Node, segments: list[str], at: int, values: list[str]) -> tuple[Node, list[str]] | None:
        while at < len(segments):
            segment = segments[at]
            at += 1
            fixed = node.fixed.get(segment)
            if fixed is not None:
                if node.parameter is not None:  # a name may also be a value, e.g. a flavor called "detail"
                    found = self._walk(fixed, segments, at, values)
                    if found is not None:
                        return found
                else:
                    node = fixed
                    continue
            if node.parameter is None or segment == "":
                return None
            values = [*values, segment]
            node = node.parameter
        return (node, values) if node.routes else None


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def parameters(node: Node, route: Route, values: list[str]) -> dict[str, Any]:
    return dict(zip(node.names[id(route)], values, strict=True))
