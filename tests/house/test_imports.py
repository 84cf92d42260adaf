"""Floors, wings and rooms: imports point down."""

from collections.abc import Iterable

import pytest

from tests.house import rules


@pytest.fixture(scope="module")
def house() -> list[rules.Module]:
    return rules.package_modules()


def show(violations: Iterable[rules.Violation]) -> str:
    return "\n".join(map(str, violations))


def test_the_walk_sees_the_house(house: list[rules.Module]) -> None:
    names = {mod.name for mod in house}
    assert {"pileus", "pileus.foundation", "pileus.foundation.runtime", "pileus.foundation.http.route"} <= names


def test_imports_point_down(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.imports_point_down(mod))


def test_only_wiring_knows_more_than_one_wing(house: list[rules.Module]) -> None:
    assert not show(rules.one_unit_knows_all_wings(house))


def test_rooms_import_only_what_the_plan_allows(house: list[rules.Module]) -> None:
    assert not show(item for mod in house for item in rules.rooms_keep_their_doors(mod))


def test_app_leaves_drivers_to_the_host(house: list[rules.Module]) -> None:
    assert not show(rules.app_leaves_drivers_to_the_host(house))


def test_hosts_reach_no_database(house: list[rules.Module]) -> None:
    assert not show(rules.hosts_reach_no_database(house))


@pytest.mark.parametrize(
    ("name", "source", "what"),
    [
        ("pileus.foundation.x", "import pileus.compute.domain.server", "not below"),
        ("pileus.foundation.x", "from pileus import wiring", "not below"),
        ("pileus.compute.api.x", "from pileus.wiring.embedded import Cloud", "not below"),
        ("pileus.compute.app.x", "from pileus.image.domain.image import Image", "wing compute imports wing image"),
        ("pileus.compute.app.x", "def f():\n    import pileus.image.app", "wing compute imports wing image"),
        ("pileus.compute.app.x", "from ...image.domain import image", "wing compute imports wing image"),
        ("pileus.wiring", "import pileus.cli", "not below"),
        ("pileus.drawer", "x = 1", "has no floor"),
    ],
)
def test_an_import_that_points_up_is_found(name: str, source: str, what: str) -> None:
    found = list(rules.imports_point_down(rules.module(name, source)))
    assert len(found) == 1
    assert what in found[0].what


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("pileus.compute.app.x", "from pileus import __version__\nfrom pileus.foundation import errors"),
        ("pileus.compute.app.x", "from ..domain import server"),
        ("pileus.wiring", "from pileus.compute.api import routes\nfrom pileus.image.api import routes as r"),
        ("pileus.cli", "from pileus import wiring, doctor"),
    ],
)
def test_an_import_that_points_down_is_allowed(name: str, source: str) -> None:
    assert not list(rules.imports_point_down(rules.module(name, source)))


def test_a_second_unit_that_knows_all_wings_is_found() -> None:
    source = "import pileus.compute.domain\nfrom pileus.image import domain"
    assert len(list(rules.one_unit_knows_all_wings([rules.module("pileus.doctor", source)]))) == 1
    assert not list(rules.one_unit_knows_all_wings([rules.module("pileus.wiring", source)]))


@pytest.mark.parametrize(
    ("room", "target"),
    [
        ("domain", "store.servers"),
        ("store", "app.servers"),
        ("peers", "drivers.fake"),
        ("drivers", "host.agent"),
        ("flows", "api.servers"),
        ("app", "api.servers"),
        ("host", "store.servers"),
        ("host", "app.servers"),
        ("api", "store.servers"),
        ("api", "assembly"),  # the wing's root
    ],
)
def test_a_room_that_opens_a_wrong_door_is_found(room: str, target: str) -> None:
    mod = rules.module(f"pileus.compute.{room}.x", f"import pileus.compute.{target}")
    assert [item.what for item in rules.rooms_keep_their_doors(mod)] == [f"room {room} imports pileus.compute.{target}"]


def test_an_app_with_a_driver_beside_a_host_is_found() -> None:
    app = rules.module("pileus.compute.app.x", "from pileus.compute.drivers import fake")
    host = rules.module("pileus.compute.host.x", "")
    assert len(list(rules.app_leaves_drivers_to_the_host([app, host]))) == 1
    assert not list(rules.app_leaves_drivers_to_the_host([app]))


def test_a_host_that_reaches_a_database_through_others_is_found() -> None:
    host = rules.module("pileus.compute.host.x", "from pileus.compute.peers.journal import Journal")
    peer = rules.module("pileus.compute.peers.journal", "from pileus.compute.ledger import Ledger")
    ledger = rules.module("pileus.compute.ledger", "from pileus.foundation.database import Database")
    ground = rules.module("pileus.foundation.database", "")
    found = {item.module: item.what for item in rules.hosts_reach_no_database([host, peer, ledger, ground])}
    assert found["pileus.compute.host.x"].endswith(
        "pileus.compute.peers.journal -> pileus.compute.ledger -> pileus.foundation.database"
    )
    assert "pileus.compute.ledger" not in found


@pytest.mark.parametrize(
    "source",
    [
        "from pileus.compute.store import servers",
        "import pileus.foundation.database",
        "from pileus.foundation.flow import SqlJournal",
        "def f():\n    import sqlite3",
    ],
)
def test_a_host_with_a_database_in_hand_is_found(source: str) -> None:
    flow = rules.module("pileus.foundation.flow", "from pileus.foundation.database import Database", is_package=True)
    host = rules.module("pileus.compute.host.x", source)
    assert len(list(rules.hosts_reach_no_database([host, flow]))) == 1


def test_a_host_may_run_flows_whose_journal_is_elsewhere() -> None:
    flow = rules.module("pileus.foundation.flow", "from pileus.foundation.database import Database", is_package=True)
    host = rules.module("pileus.compute.host.x", "from pileus.foundation.flow import Runner")
    assert not list(rules.hosts_reach_no_database([host, flow]))
