"""Services, hypervisors and availability zones over HTTP; negotiation, discovery and bad input."""

from typing import Any

import pytest

from pileus.compute.domain.server_states import Action, TaskState
from pileus.compute.store import services
from pileus.foundation.database import Transaction
from tests.unit.compute.api.conftest import Talk
from tests.unit.compute.cloud import Cloud, uuid

ADMIN = {"token": "admin"}


async def control_service(cloud: Cloud) -> None:
    async def report(tx: Transaction) -> None:
        await services.report(
            tx, "vm", new_id=uuid(60), name="nova-scheduler", zone="internal", version="1", inventory={}, roles=(),
            now=cloud.compute.runtime.now(),
        )  # fmt: skip

    await cloud.transact(report)


# -- services ---------------------------------------------------------------------------------------------------------
def test_services_are_filtered_by_host_and_binary(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await control_service(cloud)
        await cloud.host("a")
        await cloud.host("b")

        async def hosts(query: str) -> list[str]:
            return [one["host"] for one in (await cloud.get(f"/os-services{query}", **ADMIN))["services"]]

        assert await hosts("") == ["vm", "a", "b"]
        assert await hosts("?binary=nova-compute") == ["a", "b"]
        assert await hosts("?host=a") == ["a"]
        assert await hosts("?host=a&binary=nova-scheduler") == []

    talk(work)


@pytest.mark.parametrize(
    ("version", "action", "body", "answer", "shown"),
    [
        ("2.1", "disable", {}, {"status": "disabled"}, ("disabled", None)),
        ("2.1", "disable-log-reason", {"disabled_reason": "fan"},
         {"status": "disabled", "disabled_reason": "fan"}, ("disabled", "fan")),
        ("2.11", "force-down", {"forced_down": True}, {"forced_down": True}, ("enabled", None)),
    ],
)  # fmt: skip
def test_a_service_is_changed_by_name_before_2_53(
    talk: Talk, version: str, action: str, body: dict[str, Any], answer: dict[str, Any], shown: tuple[str, str | None]
) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host()
        named = {"host": "compute1", "binary": "nova-compute"}
        changed = await cloud.ask("PUT", f"/os-services/{action}", named | body, version=version, **ADMIN)
        assert (changed.status, changed.json()) == (200, {"service": named | answer})
        (service,) = (await cloud.get("/os-services", version="2.11", **ADMIN))["services"]
        assert (service["status"], service["disabled_reason"]) == shown
        assert service["state"] == ("down" if action == "force-down" else "up")
        await cloud.ask("PUT", "/os-services/enable", named, **ADMIN)
        (service,) = (await cloud.get("/os-services", version="2.11", **ADMIN))["services"]
        assert (service["status"], service["disabled_reason"]) == ("enabled", None)

    talk(work)


@pytest.mark.parametrize(
    ("version", "action", "body", "status"),
    [
        ("2.1", "explode", {}, 404),
        ("2.10", "force-down", {}, 404),
        ("2.10", "force-down", {"forced_down": True}, 400),
        ("2.11", "force-down", {}, 400),
        ("2.1", "disable-log-reason", {}, 400),
        ("2.1", "disable", {"host": "elsewhere"}, 404),
        ("2.1", "disable", {"binary": "nova-network"}, 404),
        ("2.53", "disable", {}, 400),
    ],
)
def test_a_service_is_not_changed_by_nonsense(
    talk: Talk, version: str, action: str, body: dict[str, Any], status: int
) -> None:
    async def work(cloud: Cloud) -> int:
        await cloud.host()
        named = {"host": "compute1", "binary": "nova-compute"} | body
        return (await cloud.ask("PUT", f"/os-services/{action}", named, version=version, **ADMIN)).status

    assert talk(work) == status


@pytest.mark.parametrize(
    ("body", "status", "shown"),
    [
        ({"status": "disabled", "disabled_reason": "fan"}, 200, ("disabled", "fan", False)),
        ({"status": "disabled"}, 200, ("disabled", None, False)),
        ({"forced_down": "true"}, 200, ("enabled", None, True)),
        ({"status": "enabled"}, 200, ("enabled", None, False)),
        ({}, 400, None),
        ({"disabled_reason": "fan"}, 400, None),
        ({"status": "enabled", "disabled_reason": "fan"}, 400, None),
        ({"status": "asleep"}, 400, None),
        ({"host": "compute1"}, 400, None),
    ],
)
def test_a_service_is_changed_by_id_from_2_53(
    talk: Talk, body: dict[str, Any], status: int, shown: tuple[Any, ...] | None
) -> None:
    async def work(cloud: Cloud) -> None:
        service = await cloud.host()
        changed = await cloud.ask("PUT", f"/os-services/{service.id}", body, version="2.53", **ADMIN)
        assert changed.status == status, changed.body
        if shown is not None:
            found = changed.json()["service"]
            assert (found["status"], found["disabled_reason"], found["forced_down"]) == shown
        missing = await cloud.ask("PUT", f"/os-services/{uuid(99)}", {"status": "enabled"}, version="2.53", **ADMIN)
        assert missing.status == 404

    talk(work)


@pytest.mark.parametrize("version", ["2.1", "2.53"])
def test_a_service_is_forgotten_unless_servers_live_there(talk: Talk, version: str) -> None:
    async def work(cloud: Cloud) -> None:
        service = await cloud.host()
        path = f"/os-services/{service.id if version == '2.53' else service.number}"
        await cloud.server(1)
        assert (await cloud.ask("DELETE", path, version=version, **ADMIN)).status == 409
        assert cloud.placement.removed == []
        empty = await cloud.host("empty")
        path = f"/os-services/{empty.id if version == '2.53' else empty.number}"
        assert (await cloud.ask("DELETE", path, version=version, **ADMIN)).status == 204
        assert (await cloud.ask("DELETE", path, version=version, **ADMIN)).status == 404
        assert cloud.placement.removed == [empty.id]

    talk(work)


# -- hypervisors ------------------------------------------------------------------------------------------------------
SIZES = {"vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb",
         "free_disk_gb", "current_workload", "running_vms", "disk_available_least", "cpu_info"}  # fmt: skip
BRIEF = {"id", "hypervisor_hostname", "state", "status"}
DETAIL = BRIEF | {"hypervisor_type", "hypervisor_version", "host_ip", "service"}


@pytest.mark.parametrize(
    ("version", "more"), [("2.1", SIZES), ("2.28", SIZES), ("2.53", SIZES), ("2.87", SIZES), ("2.88", {"uptime"})]
)
def test_a_hypervisor_has_the_shape_of_its_version(talk: Talk, version: str, more: set[str]) -> None:
    async def work(cloud: Cloud) -> None:
        service = await cloud.host()
        await cloud.server(1)
        await cloud.server(2, action=Action.REBOOT_HARD, task_state=TaskState.REBOOTING_HARD)
        by_uuid = version >= "2.53" or version == "2.88"
        own = service.id if by_uuid else service.number
        shown = (await cloud.get(f"/os-hypervisors/{own}", version=version, **ADMIN))["hypervisor"]
        assert set(shown) == DETAIL | more
        assert (shown["id"], shown["service"]["id"]) == (own, own)
        assert (await cloud.get("/os-hypervisors/detail", version=version, **ADMIN))["hypervisors"] == [shown]
        (brief,) = (await cloud.get("/os-hypervisors", version=version, **ADMIN))["hypervisors"]
        assert set(brief) == BRIEF
        if more is SIZES:
            assert (shown["vcpus_used"], shown["running_vms"], shown["current_workload"]) == (2, 2, 1)
            assert (shown["free_ram_mb"], shown["local_gb_used"]) == (16000 - 128, 2)
            assert isinstance(shown["cpu_info"], str if version == "2.1" else dict)
        else:
            assert shown["uptime"] == "up 2 days,  3:05"

    talk(work)


def test_hypervisors_show_their_servers_when_asked(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host()
        await cloud.host("empty")
        server = await cloud.server(1)
        full = {"servers": [{"uuid": server.id, "name": "web1"}]}

        async def found(version: str) -> list[Any]:
            path = "/os-hypervisors?with_servers=true"
            return [
                {name: one[name] for name in ("servers",) if name in one}
                for one in (await cloud.get(path, version=version, **ADMIN))["hypervisors"]
            ]

        assert await found("2.52") == [{}, {}]
        assert await found("2.53") == [full, {}]
        assert await found("2.75") == [full, {"servers": []}]
        old = await cloud.get("/os-hypervisors/compute/servers", **ADMIN)
        assert [one["servers"] for one in old["hypervisors"]] == [full["servers"]]

    talk(work)


def test_hypervisors_are_searched_and_paged(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        hosts = [await cloud.host(name) for name in ("alpha", "beta", "gamma")]
        path = "/os-hypervisors"

        async def names(query: str, version: str = "2.53") -> list[str]:
            found = (await cloud.get(path + query, version=version, **ADMIN))["hypervisors"]
            return [one["hypervisor_hostname"] for one in found]

        assert await names("?hypervisor_hostname_pattern=et") == ["beta"]
        missing = await cloud.ask("GET", f"{path}?hypervisor_hostname_pattern=x", version="2.53", **ADMIN)
        assert missing.json()["itemNotFound"]["message"] == "No hypervisor matching 'x' could be found."
        assert await names("?limit=2") == ["alpha", "beta"]
        assert await names(f"?limit=2&marker={hosts[1].id}") == ["gamma"]
        assert await names("?limit=1&marker=1", "2.33") == ["beta"]
        assert await names("?limit=1", "2.32") == ["alpha", "beta", "gamma"]
        linked = await cloud.get(f"{path}/detail?limit=2", version="2.88", **ADMIN)
        assert linked["hypervisors_links"][0]["href"].endswith(f"/detail?limit=2&marker={hosts[1].id}")
        for query in ("?marker=x", "?limit=1&hypervisor_hostname_pattern=a", "?nonsense=1", "?with_servers=perhaps"):
            assert (await cloud.ask("GET", path + query, version="2.53", **ADMIN)).status == 400

    talk(work)


@pytest.mark.parametrize(
    ("version", "path", "status"),
    [
        ("2.1", "/os-hypervisors/99", 404),
        ("2.53", "/os-hypervisors/1", 400),
        ("2.53", f"/os-hypervisors/{uuid(99)}", 404),
        ("2.87", "/os-hypervisors/statistics", 200),
        ("2.88", "/os-hypervisors/statistics", 404),
        ("2.52", "/os-hypervisors/1/uptime", 200),
        ("2.88", "/os-hypervisors/1/uptime", 404),
        ("2.52", "/os-hypervisors/pute/search", 200),
        ("2.52", "/os-hypervisors/x/search", 404),
        ("2.52", "/os-hypervisors/compute1/servers", 200),
        ("2.53", "/os-hypervisors/compute1/servers", 404),
    ],
)
def test_where_hypervisors_are_found(talk: Talk, version: str, path: str, status: int) -> None:
    async def work(cloud: Cloud) -> int:
        await cloud.host()
        return (await cloud.ask("GET", path, version=version, **ADMIN)).status

    assert talk(work) == status


def test_a_host_that_does_not_know_its_uptime_says_so(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await cloud.host(uptime_s=None)
        assert (await cloud.ask("GET", "/os-hypervisors/1/uptime", **ADMIN)).status == 501
        (shown,) = (await cloud.get("/os-hypervisors/detail", version="2.88", **ADMIN))["hypervisors"]
        assert shown["uptime"] is None

    talk(work)


def test_statistics_add_the_hosts_up(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        await cloud.host("a")
        await cloud.host("b")
        return (await cloud.get("/os-hypervisors/statistics", **ADMIN))["hypervisor_statistics"]

    found = talk(work)
    assert (found["count"], found["vcpus"], found["memory_mb"]) == (2, 16, 32000)


# -- zones ------------------------------------------------------------------------------------------------------------
def test_zones_exist_because_hosts_name_them(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        await control_service(cloud)
        await cloud.host("a", zone="nova")
        lonely = await cloud.host("b", zone="attic")
        await cloud.ask("PUT", f"/os-services/{lonely.id}", {"status": "disabled"}, version="2.53", **ADMIN)
        found = (await cloud.get("/os-availability-zone"))["availabilityZoneInfo"]
        assert found == [
            {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None},
            {"zoneName": "attic", "zoneState": {"available": False}, "hosts": None},
        ]
        detailed = (await cloud.get("/os-availability-zone/detail", **ADMIN))["availabilityZoneInfo"]
        assert [(zone["zoneName"], zone["hosts"] and list(zone["hosts"])) for zone in detailed] == [
            ("internal", ["vm"]), ("nova", ["a"]), ("attic", None),
        ]  # fmt: skip

    talk(work)


# -- versions and bad input -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "status", "echoed"),
    [
        ({}, 200, "2.1"),
        ({"openstack-api-version": "compute 2.53"}, 200, "2.53"),
        ({"openstack-api-version": "volume 3.1, compute 2.53"}, 200, "2.53"),
        ({"openstack-api-version": "volume 3.71"}, 200, "2.1"),
        ({"openstack-api-version": "compute latest"}, 200, "2.104"),
        ({"x-openstack-nova-api-version": "2.12"}, 200, "2.12"),
        ({"openstack-api-version": "compute 2.0"}, 406, "2.0"),
        ({"openstack-api-version": "compute 2.105"}, 406, "2.105"),
        ({"openstack-api-version": "compute two"}, 400, None),
    ],
)
def test_the_version_is_negotiated_and_echoed(
    talk: Talk, headers: dict[str, str], status: int, echoed: str | None
) -> None:
    async def work(cloud: Cloud) -> Any:
        return await cloud.ask("GET", "/flavors", version="", **headers)

    found = talk(work)
    assert found.status == status
    assert found.headers.get("x-openstack-nova-api-version") == echoed
    assert found.headers.get("openstack-api-version") == (f"compute {echoed}" if echoed else None)
    assert found.headers["x-openstack-request-id"] == found.headers["x-compute-request-id"]


def test_versions_are_told_to_strangers_and_lead_to_each_other(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        found = (await cloud.peer.request("GET", "/")).json()["versions"]
        assert [version["id"] for version in found] == ["v2.0", "v2.1"]
        for version in found:
            path = version["links"][0]["href"].removeprefix("http://localhost")
            shown = (await cloud.peer.request("GET", path)).json()["version"]
            assert (shown["id"], shown["version"]) == (version["id"], version["version"])

    talk(work)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"7", b'"x"'])
def test_a_body_that_is_no_request_is_400(talk: Talk, body: bytes) -> None:
    async def work(cloud: Cloud) -> None:
        server = await cloud.server(1)
        for path in ("/servers", f"/servers/{server.id}/action", "/os-keypairs"):
            assert (await cloud.ask("POST", path, body)).status == 400

    talk(work)


def test_a_megabyte_of_metadata_is_413(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        server = await cloud.server(1)
        return await cloud.ask("POST", f"/servers/{server.id}/metadata", {"metadata": {"k": "x" * 1_000_000}})

    found = talk(work)
    assert (found.status, found.json()["overLimit"]["retryAfter"], found.headers["retry-after"]) == (413, "0", "0")


def test_another_media_type_is_415(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        return await cloud.ask("POST", "/os-keypairs", b"<keypair/>", **{"content-type": "application/xml"})

    found = talk(work)
    assert (found.status, list(found.json())) == (415, ["badMediaType"])


def test_an_unknown_parameter_is_refused_everywhere_from_2_102(talk: Talk) -> None:
    async def work(cloud: Cloud) -> None:
        for path in ("/limits", "/os-availability-zone", "/flavors/1", "/os-server-groups", "/os-keypairs"):
            assert (await cloud.ask("GET", f"{path}?nonsense=1", version="2.74")).status == 200
            assert (await cloud.ask("GET", f"{path}?nonsense=1", version="2.102")).status == 400

    talk(work)


def test_a_failure_of_ours_names_its_kind_and_nothing_else(talk: Talk) -> None:
    async def work(cloud: Cloud) -> Any:
        async def broken(*args: Any, **options: Any) -> Any:
            raise KeyError("/secret/path")

        cloud.compute.images.get = broken  # type: ignore[method-assign]
        body = {"server": {"name": "x", "flavorRef": "1", "imageRef": uuid(9)}}
        return await cloud.ask("POST", "/servers", body)

    found = talk(work)
    assert found.status == 500
    assert "KeyError" in found.json()["computeFault"]["message"]
    assert "secret" not in str(found.body)
