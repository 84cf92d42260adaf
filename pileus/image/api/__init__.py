"""The Image API, version 2, on the wire."""
