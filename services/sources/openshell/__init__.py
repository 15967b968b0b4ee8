"""OpenShell gateways and their sandboxes, and NemoClaw's register of them, through the CLI."""
