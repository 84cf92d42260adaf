"""Long work on images that goes on after the answer."""
