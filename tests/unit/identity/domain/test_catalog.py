import pytest

from pileus.identity.domain.catalog import Endpoint, Service, is_usable, render

BASE = "http://cloud:8800"


def endpoint(url: str, **facts: object) -> Endpoint:
    plain = {"id": "e", "interface": "public", "service_id": "s", "url": url, "region_id": "R"}
    return Endpoint(**(plain | facts))  # type: ignore[arg-type]


def urls(*endpoints: Endpoint, **facts: str) -> list[str]:
    services = [Service(id="s", type="volume")]
    return [each["url"] for each in render(services, endpoints, BASE, facts)[0]["endpoints"]]


def test_a_path_is_an_address_of_this_cloud() -> None:
    assert urls(endpoint("/compute/v2.1")) == [f"{BASE}/compute/v2.1"]


def test_a_whole_url_stays_as_it_is() -> None:
    assert urls(endpoint("https://elsewhere/v1")) == ["https://elsewhere/v1"]


@pytest.mark.parametrize("place", ["$(project_id)s", "%(project_id)s", "$(tenant_id)s"])
def test_the_project_is_filled_in(place: str) -> None:
    assert urls(endpoint(f"/volume/v3/{place}"), project_id="p1", tenant_id="p1") == [f"{BASE}/volume/v3/p1"]


def test_an_endpoint_that_needs_a_project_is_left_out_without_one() -> None:
    assert urls(endpoint("/volume/v3/$(project_id)s"), endpoint("/volume/v3"), project_id="") == [f"{BASE}/volume/v3"]


def test_what_is_disabled_does_not_show() -> None:
    assert urls(endpoint("/a", enabled=False)) == []
    assert render([Service(id="s", type="volume", enabled=False)], [endpoint("/a")], BASE, {}) == []


def test_a_service_without_endpoints_shows() -> None:
    assert render([Service(id="s", type="x", name="n")], [], BASE, {}) == [
        {"endpoints": [], "id": "s", "type": "x", "name": "n"}
    ]


@pytest.mark.parametrize(
    ("url", "usable"),
    [
        ("http://x/v3/%(project_id)s", True),
        ("http://x/$(user_id)s/$(domain_id)s", True),
        ("http://x/%(nobody)s", False),
        ("http://x/%(project_id)", False),
        ("http://x/$(project_id", False),
        ("http://x/100%", True),
    ],
)
def test_only_known_placeholders_are_usable(url: str, usable: bool) -> None:
    assert is_usable(url) is usable
