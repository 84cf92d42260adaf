import base64

import msgspec
import pytest

from pileus.identity.domain.token import DOMAIN, PROJECT, SYSTEM, Keyring, Token, Unreadable, audit_id

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
NONCE = b"123456789012"
AUDIT = audit_id(bytes(range(16)))
PARENT = audit_id(bytes(16))


def token(**facts: object) -> Token:
    plain: dict[str, object] = {
        "user_id": "0666d2edc17348f2bc7ca40a72b7ff51",
        "scope": PROJECT,
        "scope_id": "d4a92e6ab84241eda3e8c7e7a6a72d07",
        "methods": ("password",),
        "issued_at": 1_800_000_000_000_001,
        "expires_at": 1_800_003_600_000_001,
        "epoch": 7,
        "audit_ids": (AUDIT,),
    }
    return Token(**(plain | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "said",
    [
        token(),
        token(scope="", scope_id=""),
        token(scope=DOMAIN, scope_id="default"),
        token(scope=SYSTEM, scope_id="all"),
        token(user_id="an-imported-user", audit_ids=(AUDIT, PARENT), methods=("password", "token")),
        token(application_credential_id="51bc86a18568430b97c999d505948ff7", trust_id="f" * 32),
        token(user_id="0666D2EDC17348F2BC7CA40A72B7FF51"),
        token(epoch=1 << 40),
    ],
)
def test_what_is_sealed_is_read_again(said: Token) -> None:
    ring = Keyring.first(KEY)
    assert ring.open(ring.seal(said, NONCE)) == said


def test_a_token_fits_into_200_characters_whatever_it_says() -> None:
    fullest = token(
        methods=("password", "token", "application_credential"),
        audit_ids=(AUDIT, PARENT),
        application_credential_id="51bc86a18568430b97c999d505948ff7",
        epoch=1 << 40,
    )
    assert len(Keyring.first(KEY).seal(fullest, NONCE)) < 200


def test_a_token_tells_nothing_to_who_has_no_key() -> None:
    text = Keyring.first(KEY).seal(token(), NONCE)
    with pytest.raises(Unreadable):
        Keyring.first(OTHER).open(text)


def test_no_changed_character_goes_unnoticed() -> None:
    ring = Keyring.first(KEY)
    text = ring.seal(token(), NONCE)
    for at, old in enumerate(text):
        changed = text[:at] + ("A" if old != "A" else "B") + text[at + 1 :]
        if changed[:-1] == text[:-1]:
            continue  # the last character has bits that mean nothing
        with pytest.raises(Unreadable):
            ring.open(changed)


@pytest.mark.parametrize("text", ["", "x", "AX", "Ä" * 20, "A" * 600, "AQ==", "not a token at all", "AQ\x00", "\ud800"])
def test_what_is_no_token_is_unreadable_and_nothing_worse(text: str) -> None:
    with pytest.raises(Unreadable):
        Keyring.first(KEY).open(text)


def test_after_a_rotation_old_tokens_are_still_read_until_their_key_is_dropped() -> None:
    ring = Keyring.first(KEY)
    old = ring.seal(token(), NONCE)
    once = ring.rotated(OTHER, keep=2)
    assert once.open(old) == token()
    assert once.seal(token(), NONCE) != old
    twice = once.rotated(KEY, keep=2)
    with pytest.raises(Unreadable):
        twice.open(old)


def test_key_numbers_wrap_around_without_reusing_one_in_use() -> None:
    ring = Keyring({255: KEY, 254: OTHER}, 255)
    rotated = ring.rotated(OTHER, keep=2)
    assert rotated.open(ring.seal(token(), NONCE)) == token()
    assert base64.urlsafe_b64decode(rotated.seal(token(), NONCE)[:4])[0] == 1


def test_a_keyring_survives_its_file() -> None:
    ring = Keyring.first(KEY).rotated(OTHER)
    text = ring.seal(token(), NONCE)
    assert Keyring.load(ring.dump()).open(text) == token()


def test_a_keyring_needs_its_primary_key() -> None:
    with pytest.raises(ValueError):
        Keyring({1: KEY}, 2)


def test_two_tokens_with_the_same_facts_look_different() -> None:
    ring = Keyring.first(KEY)
    other = msgspec.structs.replace(token(), audit_ids=(PARENT,))
    assert ring.seal(token(), NONCE)[17:] != ring.seal(other, NONCE)[17:]
