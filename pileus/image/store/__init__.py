"""The image service's tables, and the rows as domain values."""
