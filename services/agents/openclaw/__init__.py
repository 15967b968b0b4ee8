"""An OpenClaw gateway: its probes and what their answers mean; the carrier is injected."""
