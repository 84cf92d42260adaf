"""Volumes in the database: SQL text, domain values in and out."""
