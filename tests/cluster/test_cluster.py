"""`make cluster`, with guests of the fake hypervisor: everything is there, is used as a cloud is used, and goes."""

import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pileus.rest import Rest
from tests.cluster.trial import Trial, inhabitants, machine, until, why_not
from tests.contract.networks.machine import private_machine

pytestmark = [pytest.mark.machine, pytest.mark.clients, pytest.mark.skipif(bool(why_not()), reason=why_not())]
HOSTS = ("host-1", "host-2", "host-3")
CONTROL = "198.18.77.2"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    trial = Trial(tmp_path_factory.mktemp("cluster"))
    with private_machine():
        try:
            trial.cut_off_a_start()
            said = trial.make("cluster")
            assert "The cluster is up at https://198.18.77.2." in said
            yield trial
        finally:
            trial.make("cluster-down", "CLEAN=1")


def states(cluster: Trial) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in cluster.tool("status").splitlines())


def test_every_part_runs_and_two_copies_of_each_api_are_behind_one_address(cluster: Trial) -> None:
    found = states(cluster)
    behind = {name for name, state in found.items() if state.endswith("behind the proxy: UP")}
    apis = ("identity", "image", "network", "volume", "placement", "compute-api", "operations")
    assert behind == {f"{part}-{copy}" for part in apis for copy in (1, 2)}
    others = {f"{part}-{copy}" for part in ("scheduler", "conductor") for copy in (1, 2)}
    others |= {"postgres", "rabbitmq", "haproxy", "volume-host", *(f"compute-{name}" for name in HOSTS)}
    assert {name: found[name].strip() for name in found.keys() - behind} == dict.fromkeys(others, "up")
    until(lambda: "compute-host-3" in cluster.pileus("status"), "every process has said that it lives")


def test_what_runs_is_left_alone_when_it_is_started_again(cluster: Trial) -> None:
    def pids() -> dict[str, str]:
        return {path.name: path.read_text() for path in [*cluster.state.glob("run/*"), *cluster.state.glob("nodes/*")]}

    before = pids()
    assert len(before) > 25
    cluster.make("cluster")
    assert pids() == before


def test_servers_on_every_host_share_a_network_and_the_books_are_right(cluster: Trial) -> None:
    for host in HOSTS:
        assert cluster.launch(f"on-{host}", host)["OS-EXT-SRV-ATTR:host"] == host
    listed = cluster.openstack("server", "list", "--long")
    assert {server["Name"]: server["Status"] for server in listed if server["Name"].startswith("on-")} == {
        f"on-{host}": "ACTIVE" for host in HOSTS
    }
    agents = cluster.rest().get("network", "/agents")["agents"]
    assert {agent["host"]: agent["configurations"]["tunneling_ip"] for agent in agents} == {
        "host-1": "198.18.77.11", "host-2": "198.18.77.12", "host-3": "198.18.77.13",
    }  # fmt: skip
    assert "Clean" in cluster.pileus("audit")


def test_the_steps_of_a_launch_name_the_processes(cluster: Trial) -> None:
    cluster.launch("traced", "host-2")
    shown = cluster.pileus("trace", "traced", "--json")
    for process in ("scheduler-", "conductor-", "compute-host-2", "network-", "image-", "placement-"):
        assert f'"{process}' in shown


def test_every_process_is_replaced_under_load_and_nothing_is_lost(cluster: Trial) -> None:
    is_over, failures, answered, lived = threading.Event(), [], [], []

    def go_on(work: Callable[[Rest], None]) -> None:
        rest = cluster.rest()
        while not is_over.is_set():
            try:
                work(rest)
            except Exception as failure:  # whatever it is, the test tells
                failures.append(failure)

    def read(rest: Rest) -> None:
        for service, path in (("compute", "/servers"), ("network", "/ports"), ("identity", "/users")):
            answered.append(rest.get(service, path))

    def live(rest: Rest) -> None:
        server = cluster.launch("short-lived")
        rest.send("compute", "DELETE", f"/servers/{server['id']}")
        lived.append(server["id"])

    users = [threading.Thread(target=go_on, args=(work,)) for work in (read, live)]
    for user in users:
        user.start()
    try:
        assert "compute-host-3 was replaced" in cluster.tool("restart", "all")
    finally:
        is_over.set()
        for user in users:
            user.join()
    assert failures == []
    assert len(answered) > 100
    assert len(lived) > 5

    def all_are_gone() -> bool:
        left = {server["id"] for server in cluster.rest().get("compute", "/servers")["servers"]}
        return not left & set(lived)

    until(all_are_gone, "every server that was deleted is gone")
    assert "Clean" in cluster.pileus("audit")


def test_a_killed_process_is_started_again(cluster: Trial) -> None:
    before = (cluster.state / "run" / "scheduler-1").read_text()
    cluster.tool("enter", "control", "pkill", "-9", "-f", "pileus serve scheduler --name scheduler-1")
    until(lambda: states(cluster)["scheduler-1"].startswith("down"), "scheduler-1 is down")
    cluster.make("cluster")
    assert states(cluster)["scheduler-1"].startswith("up")
    assert (cluster.state / "run" / "scheduler-1").read_text() != before


# -- who may not ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("port", [443, 8801, 5671])
def test_nobody_is_answered_without_tls(cluster: Trial, port: int) -> None:
    with socket.create_connection((CONTROL, port), timeout=10) as connection:
        connection.sendall(b"GET /identity/v3 HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            answer = connection.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 2")
    assert b"version" not in answer


def test_certificates_are_of_the_clusters_own_authority(cluster: Trial) -> None:
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{CONTROL}/identity/v3", context=stranger)
    trusting = ssl.create_default_context(cafile=cluster.state / "tls" / "ca.pem")
    with urllib.request.urlopen(f"https://{CONTROL}/identity/v3", context=trusting) as answer:
        assert answer.status == 200


def test_the_database_takes_nobody_without_tls_and_nobody_from_a_host(cluster: Trial) -> None:
    password = (cluster.state / "secrets" / "database").read_text()
    target = f"postgresql://pileus:{password}@{CONTROL}/pileus"
    said = cluster.tool("enter", "control", "psql", f"{target}?sslmode=disable", "-c", "SELECT 1", code=2)
    assert "no encryption" in said


def test_secrets_are_their_owners_alone(cluster: Trial) -> None:
    private = [*cluster.state.glob("secrets/*"), *cluster.state.glob("tls/*.key"), cluster.state / "openrc"]
    assert len(private) > 10
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    passwords = [path.read_text() for path in cluster.state.glob("secrets/bus.*")]
    for path in [*Path("/proc").glob("[0-9]*/cmdline"), *cluster.state.glob("log/*"), *cluster.state.glob("etc/*")]:
        try:
            text = path.read_text(errors="replace")
        except OSError:  # it has just ended
            continue
        assert not any(password in text for password in passwords), path


# -- the end ----------------------------------------------------------------------------------------------------------
def test_down_leaves_nothing_and_up_goes_on_where_it_was(cluster: Trial) -> None:
    servers = {server["id"] for server in cluster.rest().get("compute", "/servers")["servers"]}
    spaces = cluster.spaces()
    assert len(inhabitants(spaces)) > 30
    assert "plc-" in " ".join(machine()["links"])
    (cluster.state / "nodes" / "host-3.json").unlink()  # as if a start had ended before it wrote down what it began
    (cluster.state / "run" / "scheduler-1").write_text(f"{cluster.keepers()['control']} 99999 \n")
    cluster.make("cluster-down")
    assert inhabitants(spaces) == []
    left = machine()
    assert left["links"] == ["lo"]
    assert not [mount for mount in left["mounts"] if str(cluster.state) in mount or "/run/cluster" in mount]
    assert left["namespaces"] == []
    assert "nothing runs" not in cluster.make("cluster-down")
    cluster.make("cluster")
    assert {server["id"] for server in cluster.rest().get("compute", "/servers")["servers"]} == servers
    assert "Clean" in cluster.pileus("audit")
