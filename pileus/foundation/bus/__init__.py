"""Messages between the parts of one service: `call` waits for an answer, `cast` does not, `publish` reaches all.

A message is only a nudge: it may be lost, doubled or late, and nothing is lost with it, because whoever is nudged reads
the database first.
"""

from pileus.foundation.bus.broker import PARKED, Broker, Fate, Transport
from pileus.foundation.bus.bus import Bus, BusTimeout, Delivery, Handler, Record

__all__ = [
    "PARKED", "Broker", "Bus", "BusTimeout", "Delivery", "Fate", "Handler", "Record", "Transport",
]  # fmt: skip
