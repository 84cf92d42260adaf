"""In whose name block storage asks another service: the user's token with ours beside it, or ours alone."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

TokenSource = Callable[[], Awaitable[str]]


class Authority(NamedTuple):
    """`user_token` empty: the service acts by itself."""

    service: TokenSource
    user_token: str = ""

    async def tokens(self) -> dict[str, Any]:
        """The `token` and `service_token` arguments of a peer's request."""
        own = await self.service()
        return {"token": self.user_token, "service_token": own} if self.user_token else {"token": own}
