"""Block storage on the wire."""
