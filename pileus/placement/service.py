"""The placement service's own objects, made once by the wiring and handed to every use case."""

from dataclasses import dataclass

from pileus.foundation.database import Database
from pileus.foundation.runtime import Runtime


@dataclass(frozen=True)
class Placement:
    """Everything a use case of placement may need.

    `identity_url` is where a caller without a valid token is sent; empty means beside this service, under /identity.
    """

    database: Database
    runtime: Runtime
    identity_url: str = ""
    most_candidates: int = 100_000  # in one answer
