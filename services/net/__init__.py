"""Reaching other machines."""
