"""The embedded world: real processes, real queues, a real gateway, on this machine."""
