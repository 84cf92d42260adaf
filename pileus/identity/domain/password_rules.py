"""When a login is locked out, when a password has ended, and which new password is refused."""

import re
from typing import Annotated

import msgspec

from pileus.foundation.config import meaning
from pileus.identity.domain.errors import PasswordRule
from pileus.identity.domain.passwords import LONGEST
from pileus.identity.domain.user import Credentials

MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS


class PasswordRules(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The cloud's rules for passwords; zero means that there is no such rule."""

    lockout_attempts: Annotated[int, meaning("Wrong passwords after which a user is locked out.")] = 0
    lockout_seconds: Annotated[int, meaning("For how long.")] = 1800
    unique_count: Annotated[int, meaning("A new password must differ from so many, the current one included.")] = 0
    minimum_age_days: Annotated[int, meaning("How old a password must be before its user may change it.")] = 0
    expires_days: Annotated[int, meaning("After so many days a password must be changed.")] = 0
    pattern: Annotated[str, meaning("A regular expression that a password must match.")] = ""
    pattern_description: Annotated[str, meaning("The pattern in words, for users.")] = ""


def is_locked(who: Credentials, rules: PasswordRules, now: int) -> bool:
    """Whether too many logins failed too recently."""
    if not rules.lockout_attempts or who.options.get("ignore_lockout_failure_attempts") is True:
        return False
    if who.failed_logins < rules.lockout_attempts:
        return False
    return now - who.last_failed_at < rules.lockout_seconds * MICROSECONDS


def failures_after(who: Credentials, rules: PasswordRules, now: int) -> int:
    """The count of failed logins after one more: a lock that has run out starts again at one."""
    if who.failed_logins >= rules.lockout_attempts and not is_locked(who, rules, now):
        return 1
    return who.failed_logins + 1


def has_expired(who: Credentials, now: int) -> bool:
    if who.password_expires_at is None or who.options.get("ignore_password_expiry") is True:
        return False
    return who.password_expires_at <= now


def expires_at(rules: PasswordRules, options: dict[str, object], now: int) -> int | None:
    """When a password that is set now will end."""
    if not rules.expires_days or options.get("ignore_password_expiry") is True:
        return None
    return now + rules.expires_days * DAY


def check_new(password: str, rules: PasswordRules) -> None:
    """Raises: PasswordRule (400)."""
    if len(password) > LONGEST:
        raise PasswordRule(detail=f"at most {LONGEST} characters")
    if rules.pattern and re.match(rules.pattern, password) is None:
        raise PasswordRule(detail=rules.pattern_description or "the pattern of this cloud")


def check_age(who: Credentials, rules: PasswordRules, now: int) -> None:
    """A user may not change the password again right away, to run through the history.

    Raises: PasswordRule (400).
    """
    if rules.minimum_age_days and now - who.password_set_at < rules.minimum_age_days * DAY:
        raise PasswordRule(detail=f"it may be changed again {rules.minimum_age_days} days after it was set")
