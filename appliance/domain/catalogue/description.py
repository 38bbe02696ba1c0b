"""What a torrent says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Description:
    """What a torrent says of itself, checked for hostility."""

    name: str
    """Name of its top-level file or folder; empty while a magnet link brought none."""
    v1: str
    """Info-hashes in hex (BEP 3, BEP 52); empty where it has none."""
    v2: str
    size: int = 0
    """Bytes of all files, padding left out."""
    files: int = 0
    pieces: int = 0
    """0 until the description is here."""
    piece_length: int = 0
    private: bool = False
    comment: str = ""
    created_by: str = ""
    layout: str = ""
    """Digest of all file paths and sizes: the same for a v1 and a hybrid torrent of the same files."""

    @property
    def id(self) -> str:
        """The name it gets in the catalogue, and keeps: 40 hex digits."""
        return short_hash(self.v1, self.v2)


def short_hash(v1: str, v2: str) -> str:
    """What a swarm is known by: 40 hex digits, of v1 or else of the truncated v2 (BEP 52)."""
    return v1 or v2[:40]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A torrent or magnet link that was understood."""

    description: Description
    resume: bytes
    """The engine's own form of it; the catalogue only keeps it."""
