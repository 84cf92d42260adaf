"""Long work of block storage: its steps run wherever the API runs."""
