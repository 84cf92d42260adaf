"""The operators' side as other processes see it."""
