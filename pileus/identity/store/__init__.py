"""Identity's rows: SQL in, domain values out."""
