"""How a user makes the fake hypervisor go wrong: two keys of a server's metadata.

It lets whoever writes a client of the cloud rehearse every bad outcome, by the public API alone:

    openstack server create --property pileus:fail=spawn:1 ...        the first host fails, the next one succeeds
    openstack server create --property pileus:delay=spawn:30 ...      thirty seconds in BUILD
    openstack server set --property pileus:fail=reboot SERVER         from now on its reboots fail

`pileus:fail` is a list of `WORD[:TIMES|:PERCENT%][@HOST]`, separated by commas. Without TIMES a word holds until the
metadata change; `detach:2` fails twice and then succeeds; for words of the operation spawn, TIMES counts the hosts that
were tried. `stop:10%` fails one time in ten. `@HOST` keeps a word to one host.

    word          operation     what happens
    spawn         spawn         the guest cannot be made: rescheduled, ERROR when no host is left
    disk-full     spawn         the host has no disk space left
    no-memory     spawn         the host has no memory left
    unavailable   every one     the hypervisor does not answer
    start         start         the guest does not start
    stop          stop          the guest cannot be stopped
    reboot        reboot        the guest cannot be rebooted
    pause         pause         the guest cannot be paused
    unpause       unpause       the guest stays paused
    suspend       suspend       the guest cannot be suspended
    resume        resume        the guest stays suspended
    attach        attach        a volume cannot be attached
    detach        detach        a volume cannot be detached
    busy          detach        the guest does not let go of a volume in time
    extend        extend        the guest does not see a volume's new size
    plug          plug          a port cannot be attached
    unplug        unplug        a port cannot be detached
    console       console       the console cannot be read or opened
    snapshot      snapshot      the root disk cannot be copied
    password      password      the password cannot be set
    no-agent      password      no agent answers inside the guest
    delete        delete        the guest cannot be removed
    crash         boot          the guest crashes by itself after each boot
    shutdown      boot          the guest switches itself off after each boot
    deaf          acpi          the guest ignores the power button: stop and soft reboot take their whole time
    silent        print         the guest writes nothing to its console

`pileus:delay` is a list of `[OPERATION:]SECONDS`: how long an operation takes before it has its effect, or for `crash`
and `shutdown` how long the guest runs before. Without an operation it holds for all but those two. Deleting a guest
cuts its delayed operations short.

The same two words are options of a fake host (`fail`, `delay`) and then hold for all its guests. What cannot be read
is refused when the guest is made, never ignored.
"""

import functools
from collections.abc import Mapping

import msgspec

from pileus.compute.drivers.base import (
    DeviceBusy,
    HypervisorFailed,
    HypervisorUnavailable,
    NoDiskSpace,
    NoGuestAgent,
    NoMemory,
)
from pileus.foundation.errors import BadRequest, Error

FAIL = "pileus:fail"
DELAY = "pileus:delay"
LONGEST_DELAY_S = 7 * 86400.0


class Word(msgspec.Struct, frozen=True):
    """One way to go wrong: in which operation, and with which error; None for what is no error but a behaviour."""

    operation: str
    error: type[Error] | None
    action: str = ""


OPERATIONS = {  # and what the guest is not, when one fails: "failed to ... the instance"
    "spawn": "spawn",
    "start": "power on",
    "stop": "power off",
    "reboot": "reboot",
    "pause": "pause",
    "unpause": "unpause",
    "suspend": "suspend",
    "resume": "resume",
    "attach": "attach a volume to",
    "detach": "detach a volume from",
    "extend": "extend a volume of",
    "plug": "attach an interface to",
    "unplug": "detach an interface from",
    "console": "read the console of",
    "snapshot": "snapshot",
    "password": "set the password of",
    "delete": "delete",
}
EVERY = "every"

WORDS: Mapping[str, Word] = {
    **{name: Word(name, HypervisorFailed, action) for name, action in OPERATIONS.items()},
    "disk-full": Word("spawn", NoDiskSpace, "spawn"),
    "no-memory": Word("spawn", NoMemory, "spawn"),
    "unavailable": Word(EVERY, HypervisorUnavailable),
    "busy": Word("detach", DeviceBusy),
    "no-agent": Word("password", NoGuestAgent),
    "crash": Word("boot", None),
    "shutdown": Word("boot", None),
    "deaf": Word("acpi", None),
    "silent": Word("print", None),
}


class BadRehearsal(BadRequest):
    """The metadata ask for something that no table here knows."""

    code, message = "hypervisor.bad-rehearsal", "'{value}' in {key} is not understood: {why}"


class Rule(msgspec.Struct, frozen=True):
    """One word as a user asked for it."""

    word: str
    times: int | None = None
    percent: float | None = None
    host: str = ""


class Rehearsal(msgspec.Struct, frozen=True):
    """What a guest, or a whole host, was told to do wrong."""

    rules: tuple[Rule, ...] = ()
    delays: dict[str, float] = {}
    every_delay: float = 0.0

    def rules_for(self, operation: str, host: str) -> list[Rule]:
        """The rules that speak of an operation on a host, in the order they were asked for."""
        wanted = (operation, EVERY) if operation in OPERATIONS else (operation,)
        return [rule for rule in self.rules if WORDS[rule.word].operation in wanted and rule.host in ("", host)]

    def delay_s(self, operation: str) -> float:
        if operation in self.delays:
            return self.delays[operation]
        return self.every_delay if operation in OPERATIONS else 0.0


NOTHING = Rehearsal()


def read_rehearsal(metadata: Mapping[str, str]) -> Rehearsal:
    """What a server's metadata ask for. Raises BadRehearsal."""
    fail, delay = metadata.get(FAIL, ""), metadata.get(DELAY, "")
    return parse(fail, delay) if fail or delay else NOTHING


@functools.lru_cache(maxsize=1024)
def parse(fail: str, delay: str) -> Rehearsal:
    """The two texts as one value. Raises BadRehearsal."""
    delays = dict(_parse_delay(part) for part in _parts(delay))
    rules = tuple(_parse_rule(part) for part in _parts(fail))
    return Rehearsal(rules, delays, delays.pop(EVERY, 0.0))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_rule(text: str) -> Rule:
    rest, _, host = text.partition("@")
    word, _, count = rest.partition(":")
    if word not in WORDS:
        raise BadRehearsal(key=FAIL, value=text, why="the words are " + ", ".join(WORDS))
    if not count:
        return Rule(word, host=host)
    if count.endswith("%"):
        return Rule(word, percent=_number(count[:-1], FAIL, text, 100.0), host=host)
    if not count.isascii() or not count.isdigit() or len(count) > 6:
        raise BadRehearsal(key=FAIL, value=text, why="how many times must be a number")
    return Rule(word, times=int(count), host=host)


def _parse_delay(text: str) -> tuple[str, float]:
    operation, _, seconds = text.rpartition(":")
    operation = operation or EVERY
    if operation != EVERY and operation not in OPERATIONS and operation not in ("crash", "shutdown"):
        raise BadRehearsal(
            key=DELAY, value=text, why="the operations are " + ", ".join([*OPERATIONS, "crash, shutdown"])
        )
    return operation, _number(seconds, DELAY, text, LONGEST_DELAY_S)


def _number(text: str, key: str, whole: str, largest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= largest:
        raise BadRehearsal(key=key, value=whole, why=f"a number from 0 to {largest:.0f} is needed")
    return number
