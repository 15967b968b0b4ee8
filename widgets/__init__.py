"""The parts the screen is made of."""
