"""The tables of all services, in the order in which they are made."""

from pileus.compute.store.tables import SCHEMA as COMPUTE_SCHEMA
from pileus.identity.store.tables import SCHEMA as IDENTITY_SCHEMA
from pileus.image.store.tables import SCHEMA as IMAGE_SCHEMA
from pileus.network.store.tables import SCHEMA as NETWORK_SCHEMA
from pileus.operations.store.tables import SCHEMA as OPERATIONS_SCHEMA
from pileus.placement.store.tables import SCHEMA as PLACEMENT_SCHEMA
from pileus.volume.store.tables import SCHEMA as VOLUME_SCHEMA

SCHEMAS = (
    IDENTITY_SCHEMA, IMAGE_SCHEMA, PLACEMENT_SCHEMA, NETWORK_SCHEMA, VOLUME_SCHEMA, COMPUTE_SCHEMA, OPERATIONS_SCHEMA,
)  # fmt: skip
