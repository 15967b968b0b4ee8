"""Drawn text: signs, spelled values, cells."""
