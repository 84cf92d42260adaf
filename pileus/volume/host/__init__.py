"""The volume-host: one process per back end, without a database."""
