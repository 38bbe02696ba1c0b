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
    if known := next((record for record in records if _same(new, record)), None):
        if known.removing:
            raise OwnerMustAct(f'"{known.name}" is being removed; add it again in a moment.')
        return Known(known.id)
    if own or not new.name:
        return Place(folder)
    lies = (folder, new.name)
    namesake = next((one for one in records if (one.folder, one.root or one.name) == lies), None)
    return _beside(new, folder, namesake) if namesake else Place(folder)


def own_folder(content: str, id: str) -> str:
    """A folder that no other torrent uses."""
    return f"{content}/{id[:8]}"


def _same(new: Description, record: Record) -> bool:
    """One of the info-hashes is shared: the same torrent, whichever way it came."""
    return bool((new.v1 and new.v1 == record.v1) or (new.v2 and new.v2 == record.v2))


def _beside(new: Description, folder: str, record: Record) -> Place:
    """Another torrent already has the top-level name that this one would get."""
    if not new.layout or new.layout != record.layout:
        note = f'Another torrent already uses the name "{new.name}"; this one got the folder {new.id[:8]}.'
        return Place(own_folder(folder, new.id), note=note)
    if not record.completed or record.damaged:
        raise OwnerMustAct(
            f'The same files are being downloaded as "{record.name}". Add this one when that is complete: '
            "both will be seeded from one copy."
        )
    note = f'It has the same files as "{record.name}": both are seeded from one copy.'
    return Place(folder, twin=record.twin or record.id, note=note)
