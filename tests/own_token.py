"""The token of a service's account, where no identity gives any."""

from dataclasses import dataclass, field


@dataclass
class FixedToken:
    """Always the same; remembers which were refused."""

    value: str
    forgotten: list[str] = field(default_factory=list)

    async def __call__(self) -> str:
        return self.value

    def forget(self, token: str) -> None:
        self.forgotten.append(token)
