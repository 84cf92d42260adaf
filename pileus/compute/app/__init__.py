"""What compute can be asked to do: one public function a use case, one transaction each."""
