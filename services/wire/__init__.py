"""The source protocol as bytes: frames, messages, rows and the credit of a stream."""
