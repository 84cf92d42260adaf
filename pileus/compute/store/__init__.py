"""SQL of compute: takes and returns domain values, never rows."""
