"""One command run somewhere else."""
