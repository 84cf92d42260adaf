"""The Networking API, version 2.0, on the wire."""
