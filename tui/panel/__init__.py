"""The full-screen panel: what joins panes to services."""
