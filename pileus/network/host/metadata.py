"""The metadata service at 169.254.169.254: who asks is known by the wire, what is answered comes from compute.

One listener per network, inside the network's own namespace and served by this process. The network is the one the
listener belongs to, the address is the connection's: nothing that a guest writes decides whose documents it gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pileus.foundation.namespaces import namespace_identity, open_listener
from pileus.foundation.plain_http import PlainAnswer, PlainHandler, PlainRequest, PlainServer
from pileus.foundation.runtime import Runtime
from pileus.network.drivers.base import METADATA_ADDRESS
from pileus.network.peers.metadata import GuestDocuments

METADATA_PORT = 80
PASSWORD_BYTES = 1020  # four values of 255, as other clouds keep it
_NOT_FOUND = PlainAnswer(404, b"404 Not Found\n")
_READ_ONLY = PlainAnswer(405, b"405 Method Not Allowed\n", headers={"Allow": "GET, HEAD"})
_NO_PASSWORD = PlainAnswer(400, b"400 Bad Request\n")
_HAS_PASSWORD = PlainAnswer(409, b"409 Conflict\n")


@dataclass(frozen=True)
class _Listener:
    server: PlainServer
    namespace: int  # the identity of the namespace that its socket lives in


class MetadataService:
    """Answers guests of every network of this host."""

    def __init__(self, runtime: Runtime, guests: GuestDocuments):
        self._runtime = runtime
        self._guests = guests
        self._listeners: dict[str, _Listener] = {}

    async def ensure_listener(self, network_id: str, namespace: str) -> None:
        """Listen in the namespace; anew if it was made anew. Without a namespace there is nobody to answer."""
        identity = namespace_identity(namespace) if namespace else None
        known = self._listeners.get(network_id)
        if known is not None and known.namespace == identity:
            return
        self.ensure_no_listener(network_id)
        if identity is None:
            return
        server = PlainServer(self._runtime, self._handler(network_id), body_bytes=PASSWORD_BYTES)
        self._listeners[network_id] = _Listener(server, identity)
        try:
            await server.start(await open_listener(self._runtime, namespace, METADATA_ADDRESS, METADATA_PORT))
        except BaseException:
            self.ensure_no_listener(network_id)
            raise

    def ensure_no_listener(self, network_id: str) -> None:
        known = self._listeners.pop(network_id, None)
        if known is not None:
            known.server.close()

    def networks(self) -> frozenset[str]:
        """The networks in which somebody listens."""
        return frozenset(self._listeners)

    def close(self) -> None:
        for network_id in tuple(self._listeners):
            self.ensure_no_listener(network_id)

    def _handler(self, network_id: str) -> PlainHandler:
        async def handle(request: PlainRequest) -> PlainAnswer:
            return await self.answer(network_id, request)

        return handle

    async def answer(self, network_id: str, request: PlainRequest) -> PlainAnswer:
        """What a guest of the network gets. An address without a server gets what an unknown path gets."""
        if request.method not in ("GET", "HEAD", "POST"):
            return _READ_ONLY
        documents = await self._guests.documents(network_id, request.peer)
        if documents is None:
            return _NOT_FOUND
        if request.method == "POST":
            return await self._keep(network_id, request, documents)
        return find_document(documents, request.path)

    async def _keep(self, network_id: str, request: PlainRequest, documents: Mapping[str, bytes]) -> PlainAnswer:
        """A guest may write one thing, once: its password, which only its owner can read if it encrypts it."""
        name = _name(request.path)
        if name not in documents or not name.endswith("/password"):
            return _READ_ONLY
        if not request.body.isascii():
            return _NO_PASSWORD
        kept = await self._guests.keep_password(network_id, request.peer, request.body.decode("ascii"))
        return PlainAnswer(200) if kept else _HAS_PASSWORD


# -- paths --------------------------------------------------------------------------------------------------------
def find_document(documents: Mapping[str, bytes], path: str) -> PlainAnswer:
    """The document at `path`, else the listing of the directory; slashes at the end or in rows mean nothing."""
    name = _name(path)
    found = documents.get(name)
    if found is not None:
        return PlainAnswer(200, found, _content_type(name))
    listing = documents.get(f"{name}/")
    if listing is None:
        listing = _listing(documents, name)
    return PlainAnswer(200, listing) if listing else _NOT_FOUND


def _name(path: str) -> str:
    return "/".join(part for part in path.split("/") if part)


def _listing(documents: Mapping[str, bytes], name: str) -> bytes:
    """The names right below a directory, those of directories with a slash behind them; empty when there are none."""
    prefix = f"{name}/"
    below: dict[str, None] = {}
    for path in documents:
        if path.startswith(prefix):
            first, slash, _ = path[len(prefix) :].partition("/")
            below[first + slash] = None
    below.pop("", None)
    return "\n".join(sorted(below)).encode()


def _content_type(name: str) -> str:
    if name.endswith(".json"):
        return "application/json"
    if name.endswith(("user_data", "user-data")) or "/content/" in name:
        return "application/octet-stream"
    return "text/plain; charset=UTF-8"
