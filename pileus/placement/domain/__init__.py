"""Values and decisions of placement: pure, without I/O."""
