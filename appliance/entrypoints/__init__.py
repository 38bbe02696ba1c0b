"""Processes and faces: each builds what it needs, starts it and stops it, and decides nothing."""
