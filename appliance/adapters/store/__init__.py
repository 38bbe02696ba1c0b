"""SQLite: what the box must still know after a power cut."""
