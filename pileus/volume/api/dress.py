"""Errors as block storage's clients expect them."""

from pileus.foundation.http.faults import fault_dresser

dress = fault_dresser(
    "/volume",
    unexpected="The server has either erred or is incapable of performing the requested operation ({kind}).",
)
