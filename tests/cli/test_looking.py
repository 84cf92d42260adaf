"""`pileus trace`, `flows` and `audit`: what really happened, what is under way, what is wrong."""

import json

import pytest

from pileus.rest import Rest
from tests.cli.conftest import admin_of, furnish, launch, shown
from tests.process import CloudProcess, wait_until

FAKE = ("--hypervisor", "fake")
STEP_KEYS = {
    "step", "sub", "try", "start", "duration_ms", "from", "to", "process", "cached", "validated_by", "data",
}  # fmt: skip


@pytest.fixture(scope="module")
def admin(cloud: CloudProcess) -> Rest:
    return admin_of(cloud)


def launched(admin: Rest, name: str, **metadata: str) -> str:
    server = launch(admin, name, **metadata)
    wait_until(lambda: shown(admin, server)["status"] != "BUILD", "the launch has ended")
    return server


def gone(admin: Rest, server: str) -> None:
    admin.send("compute", "DELETE", f"/servers/{server}")
    wait_until(lambda: admin.get("compute", "/servers")["servers"] == [], "the server is gone")


def test_a_trace_shows_the_28_steps_in_order(cloud: CloudProcess, admin: Rest) -> None:
    server = launched(admin, "traced")
    found = cloud.document("trace", server)
    assert found.keys() >= {"server", "request_id", "attempts"}
    assert found["server"] == server
    (attempt,) = found["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["missing"]) == (1, "active", [])
    assert attempt["host"] in {host["host"] for host in cloud.document("status")["hosts"]}
    for step in attempt["steps"]:
        assert set(step) == STEP_KEYS
    order = [step["step"] for step in attempt["steps"]]
    assert sorted(set(order)) == list(range(1, 29))
    assert order == sorted(order)
    gone(admin, server)


def test_a_trace_is_found_by_name_and_shown_as_text(cloud: CloudProcess, admin: Rest) -> None:
    server = launched(admin, "named")
    text = cloud.pileus("trace", "named", "--follow").stdout
    lines = text.splitlines()
    assert server in lines[0]
    assert "active" in lines[1]
    numbers = [line.split()[0].rstrip("abc") for line in lines[2:]]
    assert list(dict.fromkeys(numbers)) == [str(number) for number in range(1, 29)]
    gone(admin, server)


def test_a_trace_holds_no_secret(cloud: CloudProcess, admin: Rest) -> None:
    server = launched(admin, "quiet")
    text = cloud.pileus("trace", server, "--json").stdout
    assert json.loads((cloud.state_dir / "secrets.json").read_text())["admin_password"] not in text
    assert admin._token not in text
    gone(admin, server)


def test_a_first_host_that_fails_is_an_attempt_of_its_own(cloud: CloudProcess, admin: Rest) -> None:
    server = launched(admin, "moved", pileus__fail="spawn:1")
    assert shown(admin, server)["status"] == "ACTIVE"
    first, second = cloud.document("trace", server)["attempts"]
    assert (first["outcome"], second["outcome"]) == ("failed", "active")
    assert first["host"] != second["host"]
    assert first["error"]
    assert "attempt 2 on" in cloud.pileus("trace", server).stdout
    gone(admin, server)


def test_no_host_that_fits_is_told_with_the_funnel(cloud: CloudProcess, admin: Rest) -> None:
    admin.post("compute", "/flavors", {"flavor": {"name": "huge", "ram": 8192, "vcpus": 1, "disk": 1, "id": "huge"}})
    image = admin.get("image", "/images")["images"][0]["id"]
    body = {"server": {"name": "huge", "flavorRef": "huge", "imageRef": image, "networks": "none"}}
    server = admin.post("compute", "/servers", body, version="2.90")["server"]["id"]
    wait_until(lambda: shown(admin, server)["status"] == "ERROR", "the launch fails")
    assert "RAM" in shown(admin, server)["fault"]["message"]
    (attempt,) = cloud.document("trace", server)["attempts"]
    assert attempt["outcome"] == "failed"
    scheduling = next(step for step in attempt["steps"] if step["step"] == 10 and not step["sub"])
    assert {"filter": "RAM", "left": 0} in scheduling["data"]["funnel"]
    text = cloud.pileus("trace", server).stdout
    assert "RAM: 0" in text
    assert "No valid host" in text
    gone(admin, server)


def test_an_unknown_server_is_said_to_be_unknown(cloud: CloudProcess) -> None:
    assert "nobody" in cloud.pileus("trace", "nobody", code=1).stderr
    missing = "12345678-1234-1234-1234-123456789012"
    assert missing in cloud.pileus("trace", missing, code=1).stderr


def test_two_servers_of_one_name_must_be_told_apart(cloud: CloudProcess, admin: Rest) -> None:
    twins = [launched(admin, "twin") for _ in range(2)]
    refused = cloud.pileus("trace", "twin", code=1).stderr
    for server in twins:
        assert server in refused
        admin.send("compute", "DELETE", f"/servers/{server}")
    wait_until(lambda: admin.get("compute", "/servers")["servers"] == [], "they are gone")


def test_long_work_is_shown_while_it_lasts(cloud: CloudProcess, admin: Rest) -> None:
    server = launch(admin, "slow", pileus__delay="spawn:600")
    flows = wait_until(lambda: cloud.document("flows", "list"), "the launch is under way")
    assert {flow["subject"] for flow in flows} == {server}
    text = cloud.pileus("flows", "list").stdout
    shown_flow = json.loads(cloud.pileus("flows", "show", flows[0]["id"]).stdout)
    assert flows[0]["id"] in text
    assert shown_flow["id"] == flows[0]["id"]
    assert "only a stuck one" in cloud.pileus("flows", "resume", flows[0]["id"], code=1).stderr
    admin.send("compute", "DELETE", f"/servers/{server}")
    wait_until(lambda: cloud.document("flows", "list") == [], "nothing is under way")
    assert "Nothing is under way" in cloud.pileus("flows", "list").stdout


def test_a_broken_invariant_is_found_and_its_mend_named(process: CloudProcess) -> None:
    process.up(*FAKE)
    admin = admin_of(process)
    furnish(admin)
    launched(admin, "lost")
    assert "Clean" in process.pileus("audit").stdout
    process.down()
    for journal in process.state_dir.glob("hosts/*/fake-guests.journal"):
        journal.unlink()
    process.pileus("up", "--detach")
    found = process.document("audit", code=1)
    assert not found["clean"]
    (finding,) = found["findings"]
    assert finding.keys() >= {"service", "invariant", "subject", "found", "mend"}
    assert f"mend: {finding['mend']}" in process.pileus("audit", code=1).stdout
