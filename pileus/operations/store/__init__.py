"""The tables of the operators' API."""
