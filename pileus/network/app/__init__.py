"""The network wing's use cases: one public function, one transaction each."""
