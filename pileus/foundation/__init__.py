"""The ground every wing stands on. It knows nothing of clouds and imports no wing."""
