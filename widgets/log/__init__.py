"""A log on the screen."""
