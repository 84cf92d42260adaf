"""Rows and transactions: one seam over SQLite (embedded) and PostgreSQL (scaled out).

`seam.py` is what the services see, `sqlite.py` and `postgres.py` keep it; `open_database` chooses by a URL.
"""

from pileus.foundation.database.opening import open_database, upgrade_database
from pileus.foundation.database.seam import (
    BrokenReference,
    Database,
    DatabaseDamaged,
    DatabaseFull,
    Duplicate,
    Migration,
    NewerState,
    Schema,
    Statement,
    Transaction,
    sql,
)
from pileus.foundation.database.sqlite import SqliteDatabase, copy_database

__all__ = [
    "BrokenReference", "Database", "DatabaseDamaged", "DatabaseFull", "Duplicate", "Migration", "NewerState",
    "Schema", "SqliteDatabase", "Statement", "Transaction", "copy_database", "open_database", "sql",
    "upgrade_database",
]  # fmt: skip
