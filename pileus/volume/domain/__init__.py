"""What a volume is and may do: frozen values, states, rules. No I/O, no clock."""
