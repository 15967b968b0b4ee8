"""What the Wakedeck on another machine sees, or a program of the operator's own."""
