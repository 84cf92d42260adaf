"""What block storage asks of others: the image service, compute, its own hosts."""
