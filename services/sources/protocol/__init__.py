"""What a source is asked and told."""
