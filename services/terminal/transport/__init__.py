"""What carries the bytes of a shell."""
