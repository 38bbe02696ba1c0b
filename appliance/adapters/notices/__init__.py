"""Telling the owner elsewhere, by e-mail and webhook: the only room that knows apprise."""
