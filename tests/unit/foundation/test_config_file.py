"""Settings from a file and the environment: typed, each known, each shown."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from pileus.foundation.config import decided_by, meaning
from pileus.foundation.config_file import WrongConfig, read_config, sample, settings_of


class Wing(msgspec.Struct, frozen=True, kw_only=True):
    """A wing."""

    ratio: Annotated[float, meaning("How much of it.")] = 4.0
    names: Annotated[tuple[str, ...], meaning("Which ones.")] = ("a", "b")
    zone: Annotated[str, decided_by("cloud.zone")] = "nova"


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """The cloud."""

    zone: Annotated[str, meaning("Where.")] = "nova"
    is_open: Annotated[bool, meaning("Whether.")] = True
    options: Annotated[dict[str, object], meaning("More.")] = {}


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    state_dir: Annotated[Path, meaning("A place.")] = Path("/var")
    cloud: Cloud = Cloud()
    wing: Wing = Wing()


def written(path: Path, text: str) -> Path:
    (path / "x.toml").write_text(text)
    return path / "x.toml"


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert read_config(Tree, None, {}) == Tree()
    assert read_config(Tree, written(tmp_path, "[wing]\nratio = 2.5\n"), {}) == Tree(wing=Wing(ratio=2.5))


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'state_dir = "/a"\n[wing]\nratio = 2.5\n')
    environ = {
        "PILEUS_WING__RATIO": "3", "PILEUS_WING__NAMES": '["c"]', "PILEUS_CLOUD__IS_OPEN": "false",
        "PILEUS_CLOUD__OPTIONS": '{"x": 1}', "PILEUS_CLOUD__ZONE": "7", "PILEUS_HOME": "not ours",
        "PILEUS_STATE_DIR": "/b",
    }  # fmt: skip
    found = read_config(Tree, file, environ)
    assert found.wing == Wing(ratio=3.0, names=("c",))
    assert found.cloud == Cloud(zone="7", is_open=False, options={"x": 1})
    assert found.state_dir == Path("/b")
    assert read_config(Tree, file, {}).state_dir == Path("/a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[wing]\nratios = 1.0\n", "there is no setting wing.ratios. Did you mean wing.ratio?"),
        ("[wimg]\nratio = 1.0\n", "there is no setting wimg. Did you mean wing?"),
        ("ratio = 1.0\n", "there is no setting ratio. Did you mean wing.ratio?"),
        ("[wing]\nzone = 'x'\n", "wing.zone follows from cloud.zone: set that."),
        ("[wing]\nratio = 'much'\n", "Expected `float`, got `str` - at `wing.ratio`"),
        ("state_dir = 7\n", "Expected `str`, got `int` - at `state_dir`"),
        ("[wing\n", "is no TOML"),
        ("[cloud]\nzone.name = 1\n", "Expected `str`, got `object`"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(WrongConfig) as refused:
        read_config(Tree, file, {})
    assert said in refused.value.text
    assert str(file) in refused.value.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PILEUS_WING__RATIOS", "1", "Did you mean PILEUS_WING__RATIO?"),
        ("PILEUS_WING__ZONE", "x", "wing.zone follows from cloud.zone"),
        ("PILEUS_WING__RATIO", "much", "PILEUS_WING__RATIO: "),
        ("PILEUS_WING__NAMES", "a,b", "PILEUS_WING__NAMES: "),
    ],
)
def test_the_environment_is_read_as_strictly(name: str, value: str, said: str) -> None:
    with pytest.raises(WrongConfig) as refused:
        read_config(Tree, None, {name: value})
    assert said in refused.value.text


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(WrongConfig, match="No such file"):
        read_config(Tree, tmp_path / "none.toml", {})


def test_the_sample_shows_each_setting_and_reads_back_as_the_defaults(tmp_path: Path) -> None:
    text = sample(Tree, "Settings")
    for setting in settings_of(Tree):
        if setting.decided_by:
            assert f"# {setting.path[-1]} = " not in text.partition("[wing]")[2]
        else:
            assert setting.meaning in text
    uncommented = "\n".join(line[2:] if " = " in line and line.startswith("# ") else line for line in text.splitlines())
    assert read_config(Tree, written(tmp_path, uncommented), {}) == Tree()
