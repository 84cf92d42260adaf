"""The process on a hypervisor host: no database, guests through a driver, its flows' journal kept by the conductor."""
