"""The tables of placement. Every row is the operator's own, but for consumers, which name their project and user.

`used` of an inventory is the sum of the allocations of its class on its provider, written in the transaction that
writes those: so a claim costs the same however many consumers there are, and one guarded UPDATE decides it.
`store/audit.py` compares the two.
"""

from pileus.foundation.database import Migration, Schema

_PROVIDERS = (
    # `root` is the provider at the top of the tree (itself when it has no parent); `traits` repeats
    # placement_provider_traits as a sorted JSON list, so that ten thousand providers are read in one row each.
    (
        "CREATE TABLE placement_providers (uuid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " generation BIGINT NOT NULL, parent TEXT, root TEXT NOT NULL, traits TEXT NOT NULL,"
        " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)"
    ),
    "CREATE INDEX placement_providers_root ON placement_providers (root)",
    "CREATE INDEX placement_providers_parent ON placement_providers (parent) WHERE parent IS NOT NULL",
    (
        "CREATE TABLE placement_provider_traits (trait TEXT NOT NULL, provider TEXT NOT NULL,"
        " PRIMARY KEY (trait, provider))"
    ),
    "CREATE INDEX placement_provider_traits_provider ON placement_provider_traits (provider)",
    (
        "CREATE TABLE placement_provider_aggregates (aggregate TEXT NOT NULL, provider TEXT NOT NULL,"
        " PRIMARY KEY (aggregate, provider))"
    ),
    "CREATE INDEX placement_provider_aggregates_provider ON placement_provider_aggregates (provider)",
)

_RESOURCES = (
    # `capacity` is floor((total - reserved) * allocation_ratio): what may be used.
    (
        "CREATE TABLE placement_inventories (provider TEXT NOT NULL, class TEXT NOT NULL, total BIGINT NOT NULL,"
        " reserved BIGINT NOT NULL, min_unit BIGINT NOT NULL, max_unit BIGINT NOT NULL, step_size BIGINT NOT NULL,"
        " allocation_ratio DOUBLE PRECISION NOT NULL, capacity BIGINT NOT NULL, used BIGINT NOT NULL,"
        " updated_at BIGINT NOT NULL, PRIMARY KEY (provider, class))"
    ),
    "CREATE INDEX placement_inventories_class ON placement_inventories (class)",
    (
        "CREATE TABLE placement_consumers (uuid TEXT PRIMARY KEY, generation BIGINT NOT NULL,"
        " project_id TEXT NOT NULL, user_id TEXT NOT NULL, type TEXT, created_at BIGINT NOT NULL,"
        " updated_at BIGINT NOT NULL)"
    ),
    "CREATE INDEX placement_consumers_project ON placement_consumers (project_id, user_id)",
    (
        "CREATE TABLE placement_allocations (consumer TEXT NOT NULL, provider TEXT NOT NULL, class TEXT NOT NULL,"
        " amount BIGINT NOT NULL, PRIMARY KEY (consumer, provider, class))"
    ),
    "CREATE INDEX placement_allocations_provider ON placement_allocations (provider)",
)

_NAMES = (
    "CREATE TABLE placement_resource_classes (name TEXT PRIMARY KEY, updated_at BIGINT NOT NULL)",
    "CREATE TABLE placement_traits (name TEXT PRIMARY KEY, updated_at BIGINT NOT NULL)",
)

SCHEMA = Schema("placement", (Migration(1, "first", (*_PROVIDERS, *_RESOURCES, *_NAMES)),))
