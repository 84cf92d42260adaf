"""HTTP of the operators' API."""
