"""What is installed on this machine, what each system needs, and what would configure it."""
