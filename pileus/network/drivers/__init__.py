"""Wires behind one Protocol: `base` says what they promise, `fake` and `linux` keep it."""
