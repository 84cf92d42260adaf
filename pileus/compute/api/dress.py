"""Errors as compute's clients expect them."""

from pileus.foundation.http.faults import fault_dresser

dress = fault_dresser(
    "/compute",
    unexpected="Unexpected API Error. Please report it with the request id of this answer.\n<class '{kind}'>",
    content_type="application/json; charset=UTF-8",
)
