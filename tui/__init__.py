"""Composes, binds and routes: the panel and its command line."""
