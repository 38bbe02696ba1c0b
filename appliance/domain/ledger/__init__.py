"""Double-entry book and payment channels: pure rules."""
