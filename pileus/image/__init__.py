"""The image service (Glance's part): what servers and volumes start from, and the bytes of it."""
