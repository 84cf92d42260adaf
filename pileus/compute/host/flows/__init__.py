"""Long work that a host does itself; the journal is a peer."""
