"""Servers and where they run."""
