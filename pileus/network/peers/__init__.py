"""What the network wing asks of others, as small Protocols."""
