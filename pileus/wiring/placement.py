"""The part placement: what there is of everything, and who has it."""

from pileus.placement.api.policies import POLICIES
from pileus.placement.api.routes import API
from pileus.placement.app import operators
from pileus.placement.service import Placement
from pileus.wiring.ground import Ground


class PlacementPart:
    """Placement at work."""

    def __init__(self, ground: Ground):
        service = Placement(ground.database, ground.runtime)
        operators.serve(service, ground.bus)
        ground.serve("placement", API, service, POLICIES, "placement")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
