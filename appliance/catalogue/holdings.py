"""The torrents in memory, and the few things that every part of the catalogue does to them."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from appliance.catalogue.keeper import Keeper
from appliance.catalogue.ports import Disk, Journal, Placement, TorrentEngine, TroubleKind
from appliance.catalogue.record import Record
from appliance.catalogue.states import Trouble, state_of
from appliance.catalogue.torrent import Torrent
from appliance.errors import NotFound, OwnerMustAct


class Holdings:
    """All torrents of the box, their engine, and what is still to be written of them."""

    def __init__(
        self, engine: TorrentEngine, keeper: Keeper, journal: Journal, disk: Disk, content: Path
    ) -> None:
        """`content` is the folder for downloads."""
        self.engine = engine
        self.keeper = keeper
        self.journal = journal
        self.disk = disk
        self.content = str(content)
        self.torrents: dict[str, Torrent] = {}
        self.leaving: dict[str, asyncio.Future[str]] = {}
        """Removals under way; each ends with a note for the owner, or with an empty one."""
        self.returning: dict[str, bytes] = {}
        """Torrents that leave the engine only to come back otherwise placed, with their resume data."""
        self.mounted = True
        self.revision = 1

    def get(self, name: str) -> Torrent:
        """The torrent of an id or a unique prefix of at least four digits. Raises NotFound, OwnerMustAct."""
        if torrent := self.torrents.get(name.lower()):
            return torrent
        prefix = name.lower()
        found = [id for id in self.torrents if len(prefix) >= 4 and id.startswith(prefix)]
        if len(found) > 1:
            raise OwnerMustAct(f'"{name}" fits {len(found)} torrents; give more digits of the id.')
        if not found:
            raise NotFound(f'No torrent here has the id "{name}". `seedbox list` shows them all.')
        return self.torrents[found[0]]

    def pick(self, names: list[str]) -> list[Torrent]:
        """The torrents of several ids; `all` means every one."""
        if names == ["all"]:
            return list(self.torrents.values())
        return list({id(torrent): torrent for torrent in map(self.get, names)}.values())

    def records(self) -> Iterable[Record]:
        """What is kept of all torrents."""
        return (torrent.record for torrent in self.torrents.values())

    def inside(self, record: Record) -> bool:
        """Whether its data lies in the content folder, not in a folder of the owner's."""
        return record.folder == self.content or record.folder.startswith(self.content + "/")

    def start(
        self, torrent: Torrent, resume: bytes, *, hash_all: bool = False, one_of_many: bool = False
    ) -> None:
        """Put a torrent into the engine, as its record says; `hash_all` trusts no resume data."""
        record = torrent.record
        torrent.snapshot, torrent.trouble = None, None
        if not self.mounted and self.inside(record):
            self.set_trouble(torrent, unmounted(self.content), quiet=True)
            return
        placement = Placement(
            folder=record.folder,
            writable=record.writable,
            paused=record.paused or record.satisfied,
            priority=record.priority,
            upload_limit=record.upload_limit,
            download_limit=record.download_limit,
            rename_root=record.root if record.root and record.root != record.name else "",
            uploaded=record.uploaded,
            downloaded=record.downloaded,
            seeding_s=record.seeding_s,
            assume_nothing=hash_all or record.damaged,
        )
        try:
            (self.engine.begin if one_of_many else self.engine.add)(record.id, resume, placement)
        except (OwnerMustAct, ValueError) as error:
            self.refuse(torrent, str(error))
            return
        torrent.in_engine = True
        self.changed(torrent)

    def refuse(self, torrent: Torrent, why: str) -> None:
        """The engine does not take it."""
        torrent.in_engine = False
        says = f"Its description cannot be used ({why}). Remove it, keep the data, and add it again."
        self.set_trouble(torrent, Trouble(TroubleKind.REFUSED, says))

    def leave(self, torrent: Torrent) -> asyncio.Future[str]:
        """Take a torrent whose removal is noted out of the engine; the future ends when it is forgotten."""
        id = torrent.record.id
        left = self.leaving.setdefault(id, asyncio.get_running_loop().create_future())
        self.returning.pop(id, None)
        self.engine.remove(id, torrent.record.removing == "delete")
        return left

    def come_back(self, torrent: Torrent, resume: bytes) -> None:
        """Take a torrent out of the engine and put it in again, placed otherwise."""
        self.returning[torrent.record.id] = resume
        self.engine.remove(torrent.record.id, with_data=False)

    def set_trouble(
        self, torrent: Torrent, trouble: Trouble, *, watch: str = "", quiet: bool = False
    ) -> None:
        """Note what stopped a torrent. `watch` is the path under its folder whose change may mend it."""
        record = torrent.record
        torrent.trouble = trouble
        torrent.watch = watch or torrent.watch or record.root or record.name
        torrent.watch_mark = self.disk.mark(Path(record.folder), torrent.watch)
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
        torrent.state, torrent.reason = state_of(torrent.record, torrent.snapshot, torrent.trouble)
        self.revision += 1
        torrent.revision = self.revision


def unmounted(content: str) -> Trouble:
    """The drive of the content folder is away."""
    return Trouble(
        TroubleKind.MISSING,
        f"The content folder {content} is not there. Connect its drive, and it goes on by itself.",
    )
