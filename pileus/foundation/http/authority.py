"""In whose name one service asks another: the user's token with the service's own beside it, or its own alone."""

from typing import NamedTuple, Protocol


class OwnToken(Protocol):
    """The token of a service's own account, for as long as it holds."""

    async def __call__(self) -> str: ...

    def forget(self, token: str) -> None:
        """It was refused: fetch another when one is needed next."""
        ...


class Authority(NamedTuple):
    """`user_token` empty: the service acts by itself (deletes, reconcilers) and names the project."""

    service: OwnToken
    user_token: str = ""

    async def tokens(self) -> tuple[str, str]:
        """Of a request: whose it is, and the service's own beside it or ""."""
        own = await self.service()
        return (self.user_token, own) if self.user_token else (own, "")

    def forget(self, token: str, service_token: str) -> None:
        """These were refused: ours may have ended."""
        self.service.forget(service_token or token)
