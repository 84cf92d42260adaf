"""Networks, subnets, ports and what makes them real on hosts."""
