"""The revocation epoch: one number that changes whenever a token's answer may have changed.

Identity advances it after the commit that revoked something; who remembers a validation compares the number it saw.
"""


class Epoch:
    """The newest epoch this process has heard of. It only grows."""

    __slots__ = ("value",)

    def __init__(self, value: int = 0):
        self.value = value

    def advance(self, value: int) -> None:
        """Take over a newer epoch; an older one, heard late, changes nothing."""
        if value > self.value:
            self.value = value
