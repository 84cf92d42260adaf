"""The network wing's rows."""
