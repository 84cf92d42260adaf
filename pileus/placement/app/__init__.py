"""Use cases of placement: one transaction each."""
