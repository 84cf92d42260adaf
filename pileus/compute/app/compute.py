"""Compute's own objects, for handlers."""

from pileus.compute.service import Compute

__all__ = ["Compute"]
