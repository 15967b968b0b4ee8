"""One WebSocket terminal server as a source: terminado, Jupyter, ttyd, or the JSON family."""
