"""Pure rules: they decide, and know no file, no socket and no clock of their own."""
