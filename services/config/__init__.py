"""What the operator configured: the file, the environment, flags, and where our files are."""
