"""The settings of a cluster: each declared with its meaning, all of them in the sample file."""

from pathlib import Path

from pileus.foundation.config_file import read_config, settings_of
from pileus.serving import sample
from pileus.wiring.settings import Settings

SAMPLE = Path(__file__).resolve().parents[2] / "docs" / "pileus.toml.sample"


def test_the_sample_file_is_what_the_command_prints() -> None:
    assert SAMPLE.read_text() == sample(), "run: .venv/bin/pileus settings > docs/pileus.toml.sample"


def test_every_setting_says_what_it_means() -> None:
    silent = [setting.name for setting in settings_of(Settings) if not (setting.meaning or setting.decided_by)]
    assert silent == []
    assert len(list(settings_of(Settings))) > 60


def test_the_sample_with_its_comments_taken_away_is_the_defaults(tmp_path: Path) -> None:
    lines = [line[2:] if line.startswith("# ") and " = " in line else line for line in sample().splitlines()]
    head = next(number for number, line in enumerate(lines) if line.startswith("state_dir"))
    (tmp_path / "pileus.toml").write_text("\n".join(lines[head:]))
    assert read_config(Settings, tmp_path / "pileus.toml", {}) == Settings()
