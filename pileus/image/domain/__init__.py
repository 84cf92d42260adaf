"""What an image is, which states it has, and which bytes are no image at all; pure."""
