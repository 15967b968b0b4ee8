"""Wakes and reconnects: the attempt machine and what carries it out."""
