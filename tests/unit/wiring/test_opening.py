"""What a process of many is given: with TLS configured, nothing it reaches is reached in the clear."""

from pathlib import Path

import pytest

from pileus.foundation.config_file import WrongConfig
from pileus.wiring import opening
from pileus.wiring.settings import DatabaseSection, Settings, TlsSection
from tests.certificates import Authority


def settings(tmp_path: Path, url: str) -> Settings:
    authority = str(Authority(tmp_path).path)
    return Settings(state_dir=tmp_path, tls=TlsSection(authority=authority), database=DatabaseSection(url=url))


def test_the_database_proves_its_name_to_the_authority_that_was_named(tmp_path: Path) -> None:
    given = settings(tmp_path, "postgresql://pileus@10.0.0.5/pileus?pool=4")
    opening.check(given, None)
    url = opening.database_url(given)
    assert "sslmode=verify-full" in url and "pool=4" in url and "sslrootcert=" in url


def test_a_database_in_the_clear_is_refused_where_tls_is_configured(tmp_path: Path) -> None:
    with pytest.raises(WrongConfig, match="sslmode=disable"):
        opening.check(settings(tmp_path, "postgresql://pileus@10.0.0.5/pileus?sslmode=disable"), None)
