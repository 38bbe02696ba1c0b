"""TRON: its transactions, and the way to its nodes."""
