"""The torrents in memory, and the few things that every part of the catalogue does to them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.journal import Journal
from appliance.domain.catalogue.admission import Known, Place, admit
from appliance.domain.catalogue.description import Description
from appliance.domain.catalogue.keeper import CatalogueKeeper
from appliance.domain.catalogue.placing import Candidate, no_place, place
from appliance.domain.catalogue.ports import Disk, Placement, TorrentEngine, TroubleKind
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.states import TorrentTrouble, state_of
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.volumes.volume import Volume


class Holdings:
    """All torrents of the box, their engine, and what is still to be written of them."""

    def __init__(
        self,
        engine: TorrentEngine,
        keeper: CatalogueKeeper,
        journal: Journal,
        disk: Disk,
        content: Sequence[Path],
        floor: int,
    ) -> None:
        """`content` are the folders for downloads; on each `floor` bytes or 5 % stay free."""
        self.engine = engine
        self.keeper = keeper
        self.journal = journal
        self.disk = disk
        self.volumes = {str(path): Volume(path=str(path)) for path in content}
        self.floor = floor
        self.suspect: Callable[[str], None] = lambda path: None
        """Told of a volume on which a torrent met an error."""
        self.torrents: dict[str, Torrent] = {}
        self.leaving: dict[str, asyncio.Future[str]] = {}
        """Removals under way; each ends with a note for the owner, or with an empty one."""
        self.returning: dict[str, bytes] = {}
        """Torrents that leave the engine only to come back otherwise placed, with their resume data."""
        self.going: set[str] = set()
        """Torrents that have left with their drive, and that the engine has not let go of yet."""
        self.throttled = ""
        """Why nothing is written at the moment; empty where it is."""
        self.silent = ""
        """Why nothing is sent."""
        self.revision = 1

    def get(self, name: str) -> Torrent:
        """The torrent of an id or a unique prefix of at least four digits. Raises NotFound, OwnerMustAct."""
        if torrent := self.torrents.get(name.lower()):
            return torrent
        found = self._starting_with(name.lower())
        if len(found) > 1:
            raise OwnerMustAct(f'"{name}" matches {len(found)} torrents; give more digits of the id.')
        if not found:
            raise NotFound(f'No torrent here has the id "{name}". `seedbox list` shows them all.')
        return self.torrents[found[0]]

    def _starting_with(self, prefix: str) -> list[str]:
        return [id for id in self.torrents if id.startswith(prefix)] if len(prefix) >= 4 else []

    def pick(self, names: list[str]) -> list[Torrent]:
        """The torrents of several ids; `all` means every one."""
        if names == ["all"]:
            return list(self.torrents.values())
        return list({id(torrent): torrent for torrent in map(self.get, names)}.values())

    def records(self) -> Iterable[Record]:
        """What is kept of all torrents."""
        return (torrent.record for torrent in self.torrents.values())

    def others(self, record: Record) -> list[Record]:
        """What is kept of all other torrents that stay."""
        return [other for other in self.records() if other is not record and not other.removing]

    def volume_of(self, record: Record) -> Volume | None:
        """The folder for downloads that its data lies in; None where that is a folder of the owner's."""
        folder = record.folder
        found = [path for path in self.volumes if folder == path or folder.startswith(path + "/")]
        return self.volumes[max(found, key=len)] if found else None

    def settle(self, new: Description, others: Iterable[Record], prefer: str = "") -> Known | Place:
        """Where a torrent goes; a place without a folder where no volume has room for it now.

        `prefer` is the volume that it goes to if it can. Raises OwnerMustAct as `admit` does.
        """
        others = list(others)
        folder = self._choose(new, others, prefer)
        where = admit(new, folder or next(iter(self.volumes)), others)
        if folder or isinstance(where, Known):
            return where
        return Place("", note=self.no_place(new.size))

    def _choose(self, new: Description, others: list[Record], prefer: str) -> str:
        """Where the same files or data of that name are already, else where the most room is."""
        there = self._there_already(new, others) if new.name else ""
        return there or place(self.rooms(), new.size, self.floor, prefer)

    def _there_already(self, new: Description, others: list[Record]) -> str:
        """The volume on which a torrent has the same files, or which holds data of that name for nobody."""
        namesakes = [record for record in others if (record.root or record.name) == new.name]
        for record in namesakes:
            if new.layout and record.layout == new.layout and record.folder in self.volumes:
                return record.folder
        taken = {record.folder for record in namesakes}
        free = (path for path, volume in self.volumes.items() if not volume.away and path not in taken)
        return next((path for path in free if self.disk.mark(Path(path), new.name)), "")

    def rooms(self) -> list[Candidate]:
        """The volumes, with what is free and not promised to downloads that are under way."""
        promised = dict.fromkeys(self.volumes, 0)
        for torrent in self.torrents.values():
            volume = self.volume_of(torrent.record)
            if volume and torrent.record.pieces:
                promised[volume.path] += torrent.to_fetch
        return [self._room(volume, promised[path]) for path, volume in self.volumes.items()]

    def _room(self, volume: Volume, promised: int) -> Candidate:
        free = None if volume.away else self.disk.free(Path(volume.path))
        return Candidate(volume, None if free is None else free - promised)

    def no_place(self, size: int) -> str:
        """Why no volume takes `size` bytes now."""
        return no_place(self.rooms(), size, self.floor)

    def start(
        self, torrent: Torrent, resume: bytes, *, hash_all: bool = False, one_of_many: bool = False
    ) -> None:
        """Put a torrent into the engine, as its record says; `hash_all` trusts no resume data."""
        record = torrent.record
        torrent.snapshot, torrent.trouble = None, None
        if obstacle := self._obstacle(record):
            self.set_trouble(torrent, obstacle, quiet=True)
            return
        put = self.engine.begin if one_of_many else self.engine.add
        try:
            put(record.id, resume, _placement(record, hash_all=hash_all or record.damaged))
        except (OwnerMustAct, ValueError) as error:
            self.refuse(torrent, str(error))
            return
        torrent.in_engine = True
        self.changed(torrent)

    def _obstacle(self, record: Record) -> TorrentTrouble | None:
        """Why a torrent cannot be put into the engine where its data lies."""
        if record.refused:
            return TorrentTrouble(TroubleKind.REFUSED, record.refused)
        if not record.folder:
            return TorrentTrouble(TroubleKind.NO_PLACE, self.no_place(record.size))
        volume = self.volume_of(record)
        if volume is None:
            return None
        if volume.away:
            return TorrentTrouble(TroubleKind.MISSING, volume.away)
        fetches = record.writable and record.pieces
        return TorrentTrouble(TroubleKind.FROZEN, volume.frozen) if volume.frozen and fetches else None

    def refuse(self, torrent: Torrent, why: str) -> None:
        """The engine does not take it."""
        torrent.in_engine = False
        says = f"Its metadata cannot be used ({why}). Remove it, keep the data, and add it again."
        self.set_trouble(torrent, TorrentTrouble(TroubleKind.REFUSED, says))

    def leave(self, torrent: Torrent) -> asyncio.Future[str]:
        """Take a torrent whose removal is noted out of the engine; the future ends when it is forgotten."""
        id = torrent.record.id
        left = self.leaving.setdefault(id, asyncio.get_running_loop().create_future())
        self.returning.pop(id, None)
        self.engine.remove(id, torrent.record.removing == "delete")
        return left

    def take_out(self, torrent: Torrent) -> None:
        """Have the engine let go of a torrent whose drive is not fit for it; `reload` may follow."""
        self.returning.pop(torrent.record.id, None)
        if torrent.in_engine:
            torrent.in_engine = False
            self.going.add(torrent.record.id)
            self.engine.remove(torrent.record.id, with_data=False)

    async def reload(self, torrent: Torrent) -> None:
        """Put a torrent that was taken out into the engine, with what was vouched for on its drive."""
        id = torrent.record.id
        resume = await self.keeper.store.resume_of(id)
        if torrent.in_engine or torrent.record.removing or id not in self.torrents:
            return
        if id in self.going:
            self.returning[id] = resume  # as soon as the engine has let go of it
        else:
            self.start(torrent, resume)

    def come_back(self, torrent: Torrent, resume: bytes) -> None:
        """Take a torrent out of the engine and put it in again, placed otherwise."""
        self.returning[torrent.record.id] = resume
        self.engine.remove(torrent.record.id, with_data=False)

    def set_trouble(
        self, torrent: Torrent, trouble: TorrentTrouble, *, watch: str = "", quiet: bool = False
    ) -> None:
        """Note what stopped a torrent. `watch` is the path under its folder whose change may mend it."""
        record = torrent.record
        torrent.trouble = trouble
        torrent.watch = watch or torrent.watch or record.root or record.name
        torrent.watch_mark = self.disk.mark(Path(record.folder), torrent.watch) if torrent.in_engine else None
        if not quiet:
            torrent.lost = torrent.lost or trouble.kind is TroubleKind.MISSING
            self.journal.error(f'"{record.name}": {trouble.says}', record.id)
        self.changed(torrent)

    def dirty(self, torrent: Torrent) -> None:
        """Its record changed, and is to be written soon."""
        self.keeper.record(torrent.record.id)
        self.changed(torrent)
        self.keeper.wake.set()

    def changed(self, torrent: Torrent) -> None:
        """Something of it changed that the owner may see."""
        torrent.state, torrent.reason = state_of(
            torrent.record, torrent.snapshot, torrent.trouble, self.throttled, self.silent
        )
        self.revision += 1
        torrent.revision = self.revision


def _placement(record: Record, *, hash_all: bool) -> Placement:
    return Placement(
        folder=record.folder,
        writable=record.writable,
        paused=record.paused or record.satisfied,
        priority=record.priority,
        upload_limit=record.upload_limit,
        download_limit=record.download_limit,
        described=bool(record.pieces),
        rename_root=record.root if record.root != record.name else "",
        uploaded=record.uploaded,
        downloaded=record.downloaded,
        seeding_s=record.seeding_s,
        assume_nothing=hash_all,
    )
