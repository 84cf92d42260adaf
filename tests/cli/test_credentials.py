"""`pileus openrc` and `clouds-yaml`: no value becomes a command, whatever is in it."""

import json
import subprocess
from pathlib import Path

import pytest

from pileus.running import Facts, remember
from tests.process import CloudProcess, clean_environment

HOSTILE = [
    "it's", 'say "hi"', "$(touch pwned)", "`touch pwned`", "a;touch pwned", "two\nlines", "back\\slash", "$HOME", "!!",
    "-n", "# no comment", "ümläut", "' ; touch pwned ; '", "'\"'\"'", "x: {y}", "*",
]  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> CloudProcess:
    """A state directory with what these commands read; no cloud runs."""
    found = CloudProcess(tmp_path / "state")
    found.state_dir.mkdir()
    return found


def plant(state: CloudProcess, text: str) -> None:
    remember(state.state_dir, Facts(url="http://127.0.0.1:1", region=text, hypervisor="fake"))
    secrets = {"admin_password": text, "token_keys": {}, "sealing_key": "", "accounts": {}}
    (state.state_dir / "secrets.json").write_text(json.dumps(secrets))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_shell_gets_every_value_as_it_is(state: CloudProcess, tmp_path: Path, text: str, shell: str) -> None:
    plant(state, text)
    lines = state.pileus("openrc").stdout
    told = 'eval "$1" && printf "%s\\0" "$OS_PASSWORD" "$OS_REGION_NAME" "$OS_AUTH_URL" "$OS_USERNAME"'
    done = subprocess.run(
        [shell, "-c", told, shell, lines], capture_output=True, text=True, cwd=tmp_path, env=clean_environment()
    )
    assert done.stdout.split("\0")[:-1] == [text, text, "http://127.0.0.1:1/identity/v3", "admin"], done.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.clients
def test_the_sdk_reads_every_value_as_it_is(state: CloudProcess, tmp_path: Path) -> None:
    config = pytest.importorskip("openstack.config")
    for text in HOSTILE:
        plant(state, text)
        path = tmp_path / "clouds.yaml"
        path.write_text(state.pileus("clouds-yaml", f"--name={text}").stdout)
        loader = config.OpenStackConfig(config_files=[str(path)], load_envvars=False, secure_files=[], vendor_files=[])
        found = loader.cloud_config["clouds"][text]
        assert found["auth"]["password"] == text
        assert found["region_name"] == text


@pytest.mark.clients
def test_what_is_printed_opens_the_cloud(cloud: CloudProcess, tmp_path: Path) -> None:
    openstack = pytest.importorskip("openstack")
    path = tmp_path / "clouds.yaml"
    path.write_text(cloud.pileus("clouds-yaml", "--name", "mine").stdout)
    config = openstack.config.OpenStackConfig(config_files=[str(path)], load_envvars=False)
    with openstack.connection.Connection(config=config.get_one("mine")) as connection:
        assert connection.current_project.name == "admin"
    environment = cloud.environment()
    assert environment["OS_AUTH_URL"].startswith(f"http://127.0.0.1:{cloud.port}/")
