"""The far side of a remote source: what this machine sees and can do, over a pipe."""
