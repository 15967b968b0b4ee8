"""A table of records known by key."""
