"""Leaves: units, clock, errors, keys, configuration, files; they import nothing of ours but each other."""
