"""The board without a screen: what is told while nobody looks."""
