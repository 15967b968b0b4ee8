"""NanoClaw v2 installs: every session and queue watched read-only, nudged through its own seams."""
