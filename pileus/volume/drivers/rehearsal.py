"""How a user makes the fake back end go wrong: two keys of a volume's metadata.

It lets whoever writes a client of the cloud rehearse every bad outcome, by the public API alone:

    openstack volume create --size 1 --property pileus:fail=create ...       the volume ends in error, with a message
    openstack volume create --size 1 --property pileus:delay=create:30 ...   thirty seconds in creating
    openstack volume set --property pileus:fail=delete:1 VOLUME              the first delete fails, the next succeeds

`pileus:fail` is a list of `WORD[:TIMES|:PERCENT%]`, separated by commas. Without TIMES a word holds until the metadata
change; `delete:2` fails twice and then succeeds; `attach:10%` fails one time in ten.

    word          operation     what happens
    create        create        the volume cannot be made
    disk-full     create        the back end has no room
    delete        delete        the volume cannot be removed
    extend        extend        the volume cannot grow
    attach        attach        the volume cannot be connected
    detach        detach        the volume cannot be disconnected
    unavailable   every         the back end does not answer

`pileus:delay` is a list of `[OPERATION:]SECONDS`: how long an operation takes before it has its effect; without an
operation it holds for all. The same two words are options of the fake back end (`fail`, `delay`) and then hold for all
its volumes. What cannot be read is refused when the volume is made, never ignored.
"""

import functools
from collections.abc import Mapping

import msgspec

from pileus.foundation.errors import BadRequest, Error
from pileus.volume.domain.errors import BackendFailed, BackendFull, BackendUnavailable

FAIL = "pileus:fail"
DELAY = "pileus:delay"
LONGEST_DELAY_S = 7 * 86400.0
EVERY = "every"
OPERATIONS = ("create", "delete", "extend", "attach", "detach")
WORDS: Mapping[str, tuple[str, type[Error]]] = {
    **{name: (name, BackendFailed) for name in OPERATIONS},
    "disk-full": ("create", BackendFull),
    "unavailable": (EVERY, BackendUnavailable),
}


class BadRehearsal(BadRequest):
    """The metadata ask for something that no table here knows."""

    code, message = "volume.backend.bad-rehearsal", "'{value}' in {key} is not understood: {why}"


class Rule(msgspec.Struct, frozen=True):
    """One word as a user asked for it."""

    word: str
    times: int | None = None
    percent: float | None = None


class Rehearsal(msgspec.Struct, frozen=True):
    """What a volume, or a whole back end, was told to do wrong."""

    rules: tuple[Rule, ...] = ()
    delays: dict[str, float] = {}

    def rules_for(self, operation: str) -> list[Rule]:
        return [rule for rule in self.rules if WORDS[rule.word][0] in (operation, EVERY)]

    def delay_s(self, operation: str) -> float:
        return self.delays.get(operation, self.delays.get(EVERY, 0.0))


NOTHING = Rehearsal()


def read_rehearsal(metadata: Mapping[str, str]) -> Rehearsal:
    """What a volume's metadata ask for. Raises BadRehearsal."""
    fail, delay = metadata.get(FAIL, ""), metadata.get(DELAY, "")
    return parse(fail, delay) if fail or delay else NOTHING


@functools.lru_cache(maxsize=1024)
def parse(fail: str, delay: str) -> Rehearsal:
    """The two texts as one value. Raises BadRehearsal."""
    return Rehearsal(tuple(_rule(part) for part in _parts(fail)), dict(_delay(part) for part in _parts(delay)))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _rule(text: str) -> Rule:
    word, _, count = text.partition(":")
    if word not in WORDS:
        raise BadRehearsal(key=FAIL, value=text, why="the words are " + ", ".join(WORDS))
    if not count:
        return Rule(word)
    if count.endswith("%"):
        return Rule(word, percent=_number(count[:-1], FAIL, text, 100.0))
    if not count.isascii() or not count.isdigit() or len(count) > 6:
        raise BadRehearsal(key=FAIL, value=text, why="how many times must be a number")
    return Rule(word, times=int(count))


def _delay(text: str) -> tuple[str, float]:
    operation, _, seconds = text.rpartition(":")
    operation = operation or EVERY
    if operation not in (*OPERATIONS, EVERY):
        raise BadRehearsal(key=DELAY, value=text, why="the operations are " + ", ".join(OPERATIONS))
    return operation, _number(seconds, DELAY, text, LONGEST_DELAY_S)


def _number(text: str, key: str, whole: str, largest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= largest:
        raise BadRehearsal(key=key, value=whole, why=f"a number from 0 to {largest:.0f} is needed")
    return number
