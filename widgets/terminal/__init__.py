"""The embedded terminal: draws an emulator, turns keys into bytes."""
