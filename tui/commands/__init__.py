"""The commands of `wakedeck`, one module for each kind of errand."""
