"""Vellum's local assistants: seen for what they are, woken and linked again."""
