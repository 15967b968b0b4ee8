"""One shell from opening to its end."""
