"""Use cases of block storage: one public function, one transaction each."""
