"""Namespaces that are not there are named; the wires' own tests enter real ones."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from pileus.foundation.namespaces import (
    NamespaceAbsent,
    in_namespace,
    is_inside,
    namespace_identity,
    open_listener,
    send_datagram,
)
from pileus.foundation.runtime import Runtime

Run = Callable[..., Any]
ABSENT = "pileus-no-such-namespace"


def test_an_absent_namespace_has_no_identity_and_nobody_inside() -> None:
    assert namespace_identity(ABSENT) is None
    assert not is_inside(os.getpid(), ABSENT)


def test_work_in_an_absent_namespace_is_refused_and_not_done() -> None:
    done: list[int] = []
    with pytest.raises(NamespaceAbsent, match=ABSENT):
        in_namespace(ABSENT, done.append, 1)
    assert done == []


def test_sockets_in_an_absent_namespace_are_refused(run: Run, runtime: Runtime) -> None:
    with pytest.raises(NamespaceAbsent):
        run(open_listener, runtime, ABSENT, "169.254.169.254", 80)
    with pytest.raises(NamespaceAbsent):
        run(send_datagram, runtime, ABSENT, "eth0", ("10.0.0.1", 67), b"")
