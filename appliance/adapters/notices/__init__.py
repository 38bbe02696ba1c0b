"""Notifies the owner by e-mail, webhook and the like: the only room that knows apprise."""
