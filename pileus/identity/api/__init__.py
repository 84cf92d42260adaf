"""Identity on the wire: Identity API v3."""
