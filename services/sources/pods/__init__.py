"""Pods: Kubernetes, the CentML platform and Argo CD, whose shells travel over a WebSocket."""
