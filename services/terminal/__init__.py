"""A shell inside a sandbox: transports, framing, sessions and the emulator."""
