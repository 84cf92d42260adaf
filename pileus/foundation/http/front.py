"""One address for every service: the first segment of the path names the application."""

from collections.abc import Mapping

from pileus.foundation.http.app import App, Receive, Scope, Send


class Front:
    """Hands a request to the application under its prefix, with the prefix cut off; the rest goes to `root`."""

    def __init__(self, apps: Mapping[str, App], root: App):
        self._apps = dict(apps)  # "identity" -> App
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse(scope, receive, send)
            return
        path: str = scope["path"]
        end = path.find("/", 1)
        prefix = path[1:end] if end > 0 else path[1:]
        app = self._apps.get(prefix)
        if app is None:
            await self._root(scope, receive, send)
            return
        inner = dict(scope)
        inner["root_path"] = f"/{prefix}"
        inner["path"] = path[end:] if end > 0 else "/"
        await app(inner, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Only HTTP is served here: end a websocket at once."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
