"""Questions and pages over the dashboard."""
