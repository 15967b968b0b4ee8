"""The two session files of a sandbox, read-only: reader, labels, stuck verdict."""
