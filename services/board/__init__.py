"""The live board: what probes learn, merged; what changed, told."""
