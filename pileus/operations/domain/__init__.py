"""Values and decisions of the operators' API."""
