"""Where events for the owner go: one Protocol, for rules and services alike."""

from typing import Protocol


class Journal(Protocol):
    """Events in plain words; `torrent` is the id of the torrent concerned, empty where there is none."""

    def info(self, text: str, torrent: str = "") -> None:
        """Note something that happened as it should."""
        ...

    def warning(self, text: str, torrent: str = "") -> None:
        """Note something that the owner should know."""
        ...

    def error(self, text: str, torrent: str = "") -> None:
        """Note something that needs the owner."""
        ...
