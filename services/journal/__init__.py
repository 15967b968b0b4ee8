"""What happened, kept across restarts."""
