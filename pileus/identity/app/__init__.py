"""Identity's use cases: one public function, one transaction each."""
