"""What can be done with images: one public function, one transaction each."""
