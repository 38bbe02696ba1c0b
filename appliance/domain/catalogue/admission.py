"""Whether and where a new torrent comes in: duplicates are recognised, files of others are not touched."""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.description import Description
from appliance.domain.catalogue.record import Record


@dataclass(frozen=True, slots=True)
class Known:
    """It is here already, under this id."""

    id: str


@dataclass(frozen=True, slots=True)
class Place:
    """It is new, and goes here."""

    folder: str
    twin: str = ""
    """Id of a complete torrent of the very same files: their data is shared, and only read."""
    note: str = ""


def admit(new: Description, folder: str, here: Iterable[Record], *, own: bool = False) -> Known | Place:
    """Decide about a torrent whose files would lie in `folder`.

    Raises OwnerMustAct where its files are being fetched for another torrent at this moment, or where it is
    just being removed.
    """
    records = list(here)
    for record in records:
        if _same(new, record):
            if record.removing:
                raise OwnerMustAct(f'"{record.name}" is just being removed; add it again in a moment.')
            return Known(record.id)
    if not new.name:
        return Place(folder)
    for record in records:
        if record.folder == folder and (record.root or record.name) == new.name:
            return Place(folder) if own else _beside(new, folder, record)
    return Place(folder)


def own_folder(content: str, id: str) -> str:
    """A folder that no other torrent uses."""
    return f"{content}/{id[:8]}"


def _same(new: Description, record: Record) -> bool:
    """One of the info-hashes is shared: the same torrent, whichever way it came."""
    return bool((new.v1 and new.v1 == record.v1) or (new.v2 and new.v2 == record.v2))


def _beside(new: Description, folder: str, record: Record) -> Place:
    """Another torrent already has the top-level name that this one would get."""
    if new.layout and new.layout == record.layout:
        if record.completed and not record.damaged:
            return Place(
                folder,
                twin=record.twin or record.id,
                note=f'It has the same files as "{record.name}": both are seeded from one copy.',
            )
        raise OwnerMustAct(
            f'The same files are being fetched as "{record.name}". Add this one when that is complete: '
            "both will be seeded from one copy."
        )
    return Place(
        own_folder(folder, new.id),
        note=f'"{new.name}" is there already from another torrent; this one got the folder {new.id[:8]}.',
    )
