"""Who counts as dead: whoever was silent for long while he could have been heard."""

from pileus.foundation.liveness import Liveness


def test_a_host_is_dead_whose_heartbeats_stood_still_for_long() -> None:
    hosts = Liveness(60.0)
    assert not hosts.is_alive("h1", 0.0)  # never heard of
    hosts.observe("h1", 1, 0.0)
    hosts.observe("h1", 1, 59.0)
    assert hosts.is_alive("h1", 59.0)
    assert not hosts.is_alive("h1", 60.0)
    hosts.observe("h1", 2, 100.0)
    assert hosts.is_alive("h1", 159.0)
    hosts.observe("h1", 1, 200.0)  # an older count is another one, too: what it was put back to
    assert hosts.is_alive("h1", 259.0)


def test_silence_counts_only_while_one_could_hear() -> None:
    hosts = Liveness(60.0)
    hosts.observe("living", 1, 0.0)
    hosts.observe("dead", 1, -50.0)
    hosts.reaches("bus", 20.0, is_there=False)
    assert hosts.is_alive("living", 1000.0)
    assert not hosts.is_alive("dead", 1000.0)  # it was dead before
    hosts.reaches("database", 1000.0, is_there=False)
    hosts.reaches("bus", 1100.0, is_there=True)
    assert hosts.is_alive("living", 1500.0)  # one of two ways is not enough
    hosts.reaches("database", 2000.0, is_there=True)
    assert hosts.is_alive("living", 2039.0)
    assert not hosts.is_alive("living", 2040.0)
    assert not hosts.is_alive("dead", 2000.0)
    hosts.observe("living", 2, 2040.0)
    assert hosts.is_alive("living", 2099.0)


def test_what_is_said_twice_counts_once() -> None:
    hosts = Liveness(60.0)
    hosts.observe("h1", 1, 0.0)
    for now in (10.0, 20.0):
        hosts.reaches("bus", now, is_there=False)
    for now in (30.0, 40.0):
        hosts.reaches("bus", now, is_there=True)
    assert hosts.is_alive("h1", 79.0)
    assert not hosts.is_alive("h1", 80.0)
