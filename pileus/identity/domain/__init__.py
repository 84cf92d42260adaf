"""What identity knows and decides: frozen values and rules, without I/O and without a clock."""
