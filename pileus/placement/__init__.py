"""Placement: what every resource provider has, and who holds how much of it."""
