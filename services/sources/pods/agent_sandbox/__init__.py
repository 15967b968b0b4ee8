"""`Sandbox` resources of kubernetes-sigs/agent-sandbox in the cluster of a pods source."""
