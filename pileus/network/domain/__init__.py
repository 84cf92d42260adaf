"""The decisions of the network wing: frozen values and pure functions; no I/O, no clock, no await."""
