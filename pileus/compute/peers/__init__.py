"""What compute asks of other services, over their public APIs only."""
