"""The misfortunes that befall a flow at its seams."""

import asyncio
import contextlib

from pileus.foundation import errors
from tests.cloud import Life, Lost
from tests.flows.scenarios import NAME
from tests.flows.stage import Seam, Trouble


class Refusal(errors.Conflict):
    """What a step meets when a test lets it fail for good."""

    code, message = "test.refusal", "The test wants {step} to fail."


class Hiccup(errors.Unavailable):
    """What a step meets when a test lets it fail for a moment."""

    code, message = "test.hiccup", "The test wants {step} to be tried again."


class Calm(Trouble):
    """Nothing happens; the seams are counted."""


class Failing(Trouble):
    """A step fails before or after it did its work, the first `times` it is tried."""

    def __init__(self, flow: str, step: str, when: str, times: int = 1_000_000, error: type[errors.Error] = Refusal):
        super().__init__()
        self._at = (f"step.{when}", (flow, step))
        self._left = times
        self._error = error

    def befall(self, life: Life, seam: Seam) -> None:
        if (seam.point, seam.facts) == self._at and self._left > 0:
            self._left -= 1
            raise self._error(step=seam.facts[1])


class Stubborn(Trouble):
    """A step fails, and the undo of another (or of itself) fails too, the first `times` it is tried."""

    def __init__(self, flow: str, fails: str, stays: str, times: int = 1_000_000):
        super().__init__()
        self._flow, self._fails, self._stays = flow, fails, stays
        self._left = times

    def befall(self, life: Life, seam: Seam) -> None:
        if seam.facts[:1] != (self._flow,):
            return
        if seam.point == "step.after" and seam.facts[1] == self._fails:
            raise Refusal(step=self._fails)
        if seam.point == "undo.before" and seam.facts[1] == self._stays and self._left > 0:
            self._left -= 1
            raise Refusal(step=f"undo of {self._stays}")


class Death(Trouble):
    """The process dies at one seam, after `first` has done its part; `boot_id` says that the machine went with it."""

    def __init__(self, number: int, first: Trouble | None = None, boot_id: str = ""):
        super().__init__()
        self._number = number
        self._first = first
        self.boot_id = boot_id
        self.died_at: Seam | None = None

    def befall(self, life: Life, seam: Seam) -> None:
        if seam.number == self._number:
            self.died_at = seam
            life.crash()
            return
        if self._first is not None and life.alive:
            self._first.befall(life, seam)


class Deleted(Trouble):
    """The user deletes the server just when one seam is reached."""

    def __init__(self, number: int):
        super().__init__()
        self._number = number

    def befall(self, life: Life, seam: Seam) -> None:
        if seam.number == self._number:
            self.besides.append(asyncio.ensure_future(self._delete()))

    async def _delete(self) -> None:
        with contextlib.suppress(Lost):
            for server_id in await self.stage.named(NAME):
                answer = await self.stage.user.request("compute", "DELETE", f"/servers/{server_id}")
                assert answer.status in (204, 404), (answer.status, answer.body)
