"""The decisions of compute: frozen values and pure functions; no I/O, no clock, no await."""
