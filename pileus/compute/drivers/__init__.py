"""Hypervisors behind small roles: `base` says what they promise, `fake` and `libvirt` keep it."""
