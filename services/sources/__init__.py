"""The systems that sandboxes are found in, a package for each kind."""
