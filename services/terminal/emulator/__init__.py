"""Bytes to rows: the parser and the screen it drives."""
