"""Long work of compute that needs no host: its steps run wherever a conductor is."""
