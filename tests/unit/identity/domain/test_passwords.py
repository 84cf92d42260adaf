import pytest

from pileus.identity.domain.passwords import Cost, decoy, hash_key, hash_password, is_key_hash, is_outdated, verify

CHEAP = Cost(passes=1, memory_kib=8)
SALT = bytes(range(16))


def test_the_default_cost_is_memory_hard_at_full_strength() -> None:
    assert hash_password("x", SALT, Cost()).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["secret", "", "ünïcödé 🔑", "with\x00nul", "x" * 4096])
def test_a_password_is_recognised(password: str) -> None:
    stored = hash_password(password, SALT, CHEAP)
    assert verify(stored, password)
    assert not verify(stored, password + "x")


@pytest.mark.parametrize("stored", ["", "!", "$argon2id$nonsense", "$1$md5$crypt", "plain"])
def test_an_unknown_hash_matches_nothing(stored: str) -> None:
    assert not verify(stored, "")
    assert not verify(stored, stored)


def test_nothing_matches_the_decoy_and_it_costs_as_much_as_a_real_hash() -> None:
    assert not verify(decoy(CHEAP), "")
    assert decoy(Cost()).split("$")[:4] == hash_password("x", SALT, Cost()).split("$")[:4]


def test_a_generated_key_is_recognised_and_no_other() -> None:
    stored = hash_key("k" * 43, SALT)
    assert is_key_hash(stored)
    assert verify(stored, "k" * 43)
    assert not verify(stored, "k" * 42)
    assert "kkk" not in stored


@pytest.mark.parametrize(
    ("stored", "outdated"),
    [
        (hash_password("x", SALT, CHEAP), False),
        (hash_password("x", SALT, Cost(passes=2, memory_kib=8)), True),
        ("$2b$12$abcdefghijklmnopqrstuv", True),
        (hash_key("k", SALT), False),
    ],
)
def test_hashes_of_another_kind_or_cost_are_outdated(stored: str, outdated: bool) -> None:
    assert is_outdated(stored, CHEAP) is outdated
