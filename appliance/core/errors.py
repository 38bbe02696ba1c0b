"""Errors that say who acts. Every message names the thing and the remedy; it is shown to people as it is."""


class SeedboxError(Exception):
    """The root of all errors that the box raises on purpose."""


class RetryLater(SeedboxError):
    """Nobody needs to act: the same thing may go through later."""


class OwnerMustAct(SeedboxError):
    """The owner has to change something: the input, the configuration, a cable."""


class NotFound(OwnerMustAct):
    """The thing that was named is not here."""


class PeerMisbehaved(SeedboxError):
    """A remote party broke the protocol; it is cut off, the box runs on."""


class Bug(SeedboxError):
    """The box contradicts itself: the process ends with this as its last line."""
