"""Which aggregates a provider is in; an aggregate is nothing but its uuid."""

from collections.abc import Iterable, Sequence

from pileus.foundation.database import Database, Transaction, sql

_OF = sql("SELECT aggregate FROM placement_provider_aggregates WHERE provider = :provider ORDER BY aggregate")
_DROP = sql("DELETE FROM placement_provider_aggregates WHERE provider = :provider")
_PUT = sql("INSERT INTO placement_provider_aggregates (aggregate, provider) VALUES (:aggregate, :provider)")


async def of_provider(reader: Database | Transaction, provider: str) -> Sequence[str]:
    return [row["aggregate"] for row in await reader.all(_OF, provider=provider)]


async def put_all(tx: Transaction, provider: str, aggregates: Iterable[str]) -> None:
    """Let a provider be in exactly these aggregates."""
    await tx.run(_DROP, provider=provider)
    for aggregate in sorted(set(aggregates)):
        await tx.run(_PUT, aggregate=aggregate, provider=provider)
