"""Domain rules at work on adapters: keep first, then act."""
