"""Everything the panel knows and does, without a screen."""
