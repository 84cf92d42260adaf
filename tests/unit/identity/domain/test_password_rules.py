import pytest

from pileus.identity.domain import password_rules
from pileus.identity.domain.errors import PasswordRule
from pileus.identity.domain.password_rules import DAY, MICROSECONDS, PasswordRules
from pileus.identity.domain.user import Credentials

NOW = 1_800_000_000_000_000
LOCKING = PasswordRules(lockout_attempts=2, lockout_seconds=5)


def who(**facts: object) -> Credentials:
    plain: dict[str, object] = {
        "user_id": "u",
        "password_hash": "h",
        "password_set_at": 0,
        "password_expires_at": None,
        "failed_logins": 0,
        "last_failed_at": 0,
        "options": {},
        "is_enabled": True,
    }
    return Credentials(**(plain | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failed", "seconds_ago", "options", "locked"),
    [
        (1, 0, {}, False),
        (2, 0, {}, True),
        (2, 4.999, {}, True),
        (2, 5, {}, False),
        (9, 1, {"ignore_lockout_failure_attempts": True}, False),
    ],
)
def test_two_failures_lock_for_five_seconds(failed: int, seconds_ago: float, options: object, locked: bool) -> None:
    user = who(failed_logins=failed, last_failed_at=NOW - int(seconds_ago * MICROSECONDS), options=options)
    assert password_rules.is_locked(user, LOCKING, NOW) is locked


def test_without_the_rule_nobody_is_locked() -> None:
    assert not password_rules.is_locked(who(failed_logins=1000, last_failed_at=NOW), PasswordRules(), NOW)


def test_failures_start_again_after_a_lock_ran_out() -> None:
    long_ago = NOW - 6 * MICROSECONDS
    assert password_rules.failures_after(who(failed_logins=2, last_failed_at=long_ago), LOCKING, NOW) == 1
    assert password_rules.failures_after(who(failed_logins=1, last_failed_at=long_ago), LOCKING, NOW) == 2


@pytest.mark.parametrize(
    ("ends", "options", "expired"),
    [(None, {}, False), (NOW + 1, {}, False), (NOW, {}, True), (NOW, {"ignore_password_expiry": True}, False)],
)
def test_a_password_ends_at_its_moment(ends: int | None, options: object, expired: bool) -> None:
    assert password_rules.has_expired(who(password_expires_at=ends, options=options), NOW) is expired


def test_the_end_of_a_new_password_follows_the_rule() -> None:
    assert password_rules.expires_at(PasswordRules(), {}, NOW) is None
    assert password_rules.expires_at(PasswordRules(expires_days=30), {}, NOW) == NOW + 30 * DAY
    assert password_rules.expires_at(PasswordRules(expires_days=30), {"ignore_password_expiry": True}, NOW) is None


def test_a_pattern_is_explained_when_a_password_misses_it() -> None:
    rules = PasswordRules(pattern=r"^(?=.*\d).{7,}$", pattern_description="7 characters and a digit")
    password_rules.check_new("abcdefg1", rules)
    with pytest.raises(PasswordRule, match="7 characters and a digit"):
        password_rules.check_new("abc", rules)


def test_a_password_longer_than_any_sane_one_is_refused() -> None:
    with pytest.raises(PasswordRule):
        password_rules.check_new("x" * 5000, PasswordRules())


def test_a_password_may_not_be_changed_again_too_soon() -> None:
    rules = PasswordRules(minimum_age_days=1)
    password_rules.check_age(who(password_set_at=NOW - DAY), rules, NOW)
    with pytest.raises(PasswordRule):
        password_rules.check_age(who(password_set_at=NOW - DAY + 1), rules, NOW)
