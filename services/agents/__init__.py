"""What agents inside sandboxes say of themselves, whoever carries the question to them."""
