"""Our own log, and following the logs of others."""
