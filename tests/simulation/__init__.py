"""Seeded histories of a whole cloud: tenants, failures and deaths under a virtual clock."""
