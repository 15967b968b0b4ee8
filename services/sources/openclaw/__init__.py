"""OpenClaw gateways of one user, seen read-only."""
