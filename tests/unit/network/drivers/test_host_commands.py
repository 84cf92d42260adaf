"""What a host's complaints mean to whoever must mend it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pileus.foundation.errors import Error
from pileus.foundation.runtime import Completed, Runtime
from pileus.network.drivers.base import BackendFailed, BackendUnavailable
from pileus.network.drivers.linux.host_commands import HostCommands

Run = Callable[..., Any]


class Host(Runtime):
    """A machine that answers every command the same."""

    def __init__(self, completed: Completed):
        super().__init__("host")
        self.completed = completed
        self.asked: list[tuple[list[str], bytes]] = []

    async def run_command(self, argv: Sequence[str], *, stdin: bytes = b"", **_: Any) -> Completed:
        self.asked.append((list(argv), stdin))
        return self.completed


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        (b"RTNETLINK answers: Operation not permitted", BackendUnavailable, "start it as root"),
        (b"Error: Unknown device type.", BackendUnavailable, "modprobe -a bridge veth tun vxlan"),
        (b"RTNETLINK answers: Operation not supported", BackendUnavailable, "modprobe -a bridge veth tun vxlan"),
        (b"open: No such file or directory: /dev/net/tun", BackendUnavailable, "modprobe -a bridge veth tun vxlan"),
        (b"nsenter: failed to execute dnsmasq: No such file", BackendUnavailable, "apt-get install dnsmasq-base"),
        (b"RTNETLINK answers: File exists", BackendFailed, "The host failed to make a network."),
    ],
)
def test_a_complaint_becomes_an_error_with_its_mend(run: Run, said: bytes, kind: type[Error], text: str) -> None:
    host = Host(Completed(1, b"", said))
    with pytest.raises(kind, match=text) as caught:
        run(HostCommands(host).ip, ["link add x"], "make a network")
    assert said.decode() in (caught.value.log or "")
    assert said.decode() not in caught.value.text


def test_nothing_to_do_runs_nothing(run: Run) -> None:
    host = Host(Completed(0, b"", b""))
    run(HostCommands(host).ip, [], "make a network")
    assert host.asked == []


def test_lines_go_through_one_batch_in_their_namespace(run: Run) -> None:
    host = Host(Completed(0, b"", b""))
    run(HostCommands(host).ip, ["a", "b"], "act", "ns1")
    assert host.asked == [(["ip", "-netns", "ns1", "-batch", "-"], b"a\nb\n")]


def test_a_namespace_that_cannot_be_entered_has_no_addresses(run: Run) -> None:
    assert run(HostCommands(Host(Completed(1, b"", b"Invalid argument"))).addresses, "ns") is None
