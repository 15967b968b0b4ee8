"""Files of others and of ours, opened with care."""
