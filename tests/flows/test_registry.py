"""No flow without a scenario: found among the modules, not in a list that could forget one."""

import importlib
import pkgutil

import pileus
from pileus.foundation.flow import Flow
from pileus.foundation.flow.runner import Runner
from pileus.foundation.simulation import simulate
from tests.cloud import World
from tests.flows.scenarios import SCENARIOS
from tests.flows.stage import scratch


def flows() -> set[tuple[str, int]]:
    """Every flow that any module of the package defines."""
    found = set()
    for module in pkgutil.walk_packages(pileus.__path__, "pileus."):
        if ".flows." in module.name:
            here = vars(importlib.import_module(module.name)).values()
            found |= {(flow.name, flow.version) for flow in here if isinstance(flow, Flow)}
    return found


def runners(cloud: object) -> list[Runner]:
    """Every runner of a cloud."""
    compute, volume, images = (getattr(cloud, name) for name in ("compute", "volume", "images"))
    hosts = [agent.runner for agent in getattr(cloud, "agents", ())]
    return [compute.runner, volume.runner, images.imports.runner, *hosts]


def test_every_flow_has_a_scenario() -> None:
    assert {name for name, _ in flows()} == {name for scenario in SCENARIOS for name in scenario.flows}


def test_names_of_scenarios_are_unique() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_flow_has_a_runner_in_a_whole_cloud() -> None:
    async def look(chance: object) -> set[tuple[str, int]]:
        world = World(scratch(), chance)  # type: ignore[arg-type]
        await world.start()
        known = {key for runner in runners(world.cloud) for key in runner._flows}
        await world.stop()
        return known

    assert simulate(1, look) == flows()
