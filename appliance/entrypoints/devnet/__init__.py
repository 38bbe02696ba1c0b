"""A development chain: one machine's TRON, for tests and for trying out. Its money is worth nothing."""
