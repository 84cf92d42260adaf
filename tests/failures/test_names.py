"""Names with quotes, newlines and the shell's own characters: refused, or carried unchanged, and never obeyed."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pileus import credentials, running, secrets_file
from pileus.foundation.runtime import Runtime
from tests.cloud import World
from tests.conftest import Run
from tests.holdings import holdings, violations

NASTY = (
    'a"b', "a'b", "a b", "$(touch /tmp/pileus-was-here)", "`id`", "a;b", "a|b", "a&b", "a\\b", "a\nb", "a\r\nb", "a\tb",
    "a\x00b", "a\x1bb", "<a>&lt;", "../../etc/passwd", "%s%n", "{0.__class__}", "-rf", "é😀", "\u202eevil", "a\u2028b",
)  # fmt: skip


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_a_name_is_refused_or_kept_as_it_is(run: Run, tmp_path: Path, name: str) -> None:
    async def scenario() -> list[str]:
        world = World(tmp_path / "cloud", hosts=1)
        await world.start()
        admin = await world.admin()
        flavor, image = await admin.create_flavor("small"), await admin.create_image("disk")
        network = await admin.create_network("net")
        documents: list[tuple[str, str, str, Any]] = [
            ("identity", "/projects", "project", {}), ("network", "/networks", "network", {}),
            ("network", "/security-groups", "security_group", {}), ("volume", "/volumes", "volume", {"size": 1}),
            ("compute", "/servers", "server", {"flavorRef": flavor, "imageRef": image,
                                               "networks": [{"uuid": network}], "metadata": {"key": name}}),
        ]  # fmt: skip
        for service, path, kind, more in documents:
            answer = await admin.request(service, "POST", path, {kind: {"name": name, **more}})
            assert answer.status in (200, 201, 202, 400), (kind, answer.status, answer.body)
            if answer.status == 400:
                continue
            made = answer.json()[kind]
            shown = (await admin.get(service, f"{path}/{made['id']}"))[kind]
            assert shown["name"] == name.strip(), kind
            if kind == "server":
                server = await admin.at_rest(made["id"])
                assert server is not None
                assert server["status"] == "ACTIVE", server
                hostname = server["OS-EXT-SRV-ATTR:hostname"]
                assert hostname.isascii()
                assert hostname.replace("-", "").replace(".", "").isalnum(), hostname
        await world.settle()
        assert await world.audit() == []
        await world.stop()
        return violations(holdings(world.state_dir))

    assert run(scenario) == []
    assert not Path("/tmp/pileus-was-here").exists()


@pytest.mark.parametrize("text", ["$(id)", "`id`", 'a"b', "a'b", "a b;c", "a\\", "${HOME}", "a\nb", "!x", "é"])
def test_the_files_for_clients_say_what_is_meant_whatever_is_in_it(tmp_path: Path, text: str) -> None:
    """OSSN-0097."""
    facts = running.Facts(url=f"http://host/{text}", region=text, hypervisor="fake")
    (tmp_path / running.FACTS).write_bytes(msgspec.json.encode(facts))
    found = secrets_file.load(tmp_path, Runtime("test"))
    found.admin_password = text
    secrets_file.save(tmp_path, found)
    script = credentials.openrc(tmp_path) + 'printf "%s|%s|%s" "$OS_PASSWORD" "$OS_REGION_NAME" "$OS_AUTH_URL"\n'
    for shell in ("sh", "bash"):
        said = subprocess.run([shell, "-c", script], check=True, capture_output=True, text=True)
        assert said.stdout == f"{text}|{text}|http://host/{text}/identity/v3"
        assert said.stderr == ""
    yaml = pytest.importorskip("yaml")
    cloud = yaml.safe_load(credentials.clouds_yaml(tmp_path))["clouds"]["pileus"]
    assert (cloud["auth"]["password"], cloud["region_name"]) == (text, text)
