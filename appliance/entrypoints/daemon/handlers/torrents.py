"""What each command about torrents does: the seam between control/torrents.py and the catalogue."""

import asyncio
from collections import Counter

from appliance.adapters.engine.metainfo import torrent_file
from appliance.adapters.engine.queries import Queries
from appliance.adapters.store.torrents import TorrentStore
from appliance.control import torrents as api
from appliance.control.command import Route
from appliance.core.errors import RetryLater
from appliance.domain.catalogue.catalogue import Catalogue
from appliance.domain.catalogue.listing import Query, page, select
from appliance.domain.catalogue.torrent import Torrent
from appliance.entrypoints.daemon.overview import states_of

MOST_FILES = 1_000


class TorrentHandlers:
    """One method for each command, of the same name."""

    def __init__(self, catalogue: Catalogue, queries: Queries, store: TorrentStore) -> None:
        self._catalogue, self._queries, self._store = catalogue, queries, store

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.ListTorrents.answered_by(self.list_torrents),
            api.ShowTorrent.answered_by(self.show_torrent),
            api.ListFiles.answered_by(self.list_files),
            api.ListPeers.answered_by(self.list_peers),
            api.ShowPieces.answered_by(self.show_pieces),
            api.GetMetainfo.answered_by(self.get_metainfo),
            api.Pause.answered_by(self.pause),
            api.Resume.answered_by(self.resume),
            api.Remove.answered_by(self.remove),
            api.Recheck.answered_by(self.recheck),
            api.Reannounce.answered_by(self.reannounce),
            api.Configure.answered_by(self.configure),
        ]

    async def list_torrents(self, command: api.ListTorrents) -> api.TorrentPage:
        """A page, or what changed on it."""
        query = Query(
            text=command.text,
            state=command.state,
            label=command.label,
            sort=command.sort,
            descending=command.descending,
            offset=command.offset,
            count=command.count,
        )
        found = select(self._catalogue.all(), query)
        shown = page(found, query)
        labels = Counter(torrent.record.label for torrent in self._catalogue.all() if torrent.record.label)
        return api.TorrentPage(
            revision=self._catalogue.revision,
            total=len(self._catalogue),
            matched=len(found),
            ids=[torrent.record.id for torrent in shown],
            rows=[_row(torrent) for torrent in shown if torrent.revision > command.since],
            states=states_of(self._catalogue.all()),
            labels=dict(labels),
        )

    async def show_torrent(self, command: api.ShowTorrent) -> api.TorrentDetail:
        """All about one torrent."""
        return await self._detail(self._catalogue.get(command.id))

    async def list_files(self, command: api.ListFiles) -> api.Files:
        """Its files."""
        id = self._catalogue.get(command.id).record.id
        total, rows = await self._queries.files(id, command.offset, max(0, min(command.count, MOST_FILES)))
        return api.Files(total=total, files=rows)

    async def list_peers(self, command: api.ListPeers) -> api.Peers:
        """Its peers."""
        return api.Peers(peers=await self._queries.peers(self._catalogue.get(command.id).record.id))

    async def show_pieces(self, command: api.ShowPieces) -> api.Pieces:
        """Its pieces."""
        total, have, buckets = await self._queries.pieces(self._catalogue.get(command.id).record.id)
        return api.Pieces(total=total, have=have, buckets=buckets)

    async def get_metainfo(self, command: api.GetMetainfo) -> api.Metainfo:
        """Its .torrent file."""
        record = self._catalogue.get(command.id).record
        if not record.pieces:
            raise RetryLater(
                f'The description of "{record.name}" has not arrived yet; try again when it has.'
            )
        resume = await self._store.resume_of(record.id)
        return api.Metainfo(name=record.name, metainfo=await asyncio.to_thread(torrent_file, resume))

    async def pause(self, command: api.Pause) -> api.Changed:
        """Stop torrents."""
        return api.Changed(ids=await self._catalogue.pause(command.ids))

    async def resume(self, command: api.Resume) -> api.Changed:
        """Start torrents."""
        return api.Changed(ids=await self._catalogue.resume(command.ids))

    async def remove(self, command: api.Remove) -> api.Changed:
        """Forget torrents."""
        ids, notes = await self._catalogue.remove(command.ids, command.with_data)
        return api.Changed(ids=ids, notes=notes)

    async def recheck(self, command: api.Recheck) -> api.Changed:
        """Hash data again."""
        return api.Changed(ids=await self._catalogue.recheck(command.ids))

    async def reannounce(self, command: api.Reannounce) -> api.Changed:
        """Ask for peers."""
        return api.Changed(ids=self._catalogue.reannounce(command.ids))

    async def configure(self, command: api.Configure) -> api.TorrentDetail:
        """Set label, priority, goal or rates."""
        torrent = await self._catalogue.configure(
            command.id,
            label=command.label,
            priority=command.priority,
            goal=command.goal,
            upload_limit=command.upload_limit,
            download_limit=command.download_limit,
        )
        return await self._detail(torrent)

    async def _detail(self, torrent: Torrent) -> api.TorrentDetail:
        record, snapshot = torrent.record, torrent.snapshot
        return api.TorrentDetail(
            row=_row(torrent),
            sentence=torrent.state.sentence,
            v1=record.v1,
            v2=record.v2,
            # Nobody may fetch the description of a private torrent from a peer that is not of its tracker.
            magnet="" if record.private else await self._queries.magnet(record.id),
            folder=record.folder,
            own=record.own,
            files=record.files,
            piece_length=record.piece_length,
            pieces=record.pieces,
            private=record.private,
            comment=record.comment,
            created_by=record.created_by,
            completed=record.completed,
            seeding_s=torrent.seeding_s,
            goal=self._catalogue.goal_of(record),
            upload_limit=record.upload_limit,
            download_limit=record.download_limit,
            swarm_seeds=snapshot.swarm_seeds if snapshot else -1,
            swarm_peers=snapshot.swarm_peers if snapshot else -1,
            trackers=await self._queries.trackers(record.id),
        )


def _row(torrent: Torrent) -> api.TorrentRow:
    record, snapshot = torrent.record, torrent.snapshot
    return api.TorrentRow(
        id=record.id,
        name=record.name,
        state=torrent.state,
        reason=torrent.reason,
        progress=torrent.progress,
        size=torrent.size,
        up_rate=torrent.up_rate,
        down_rate=torrent.down_rate,
        uploaded=torrent.uploaded,
        downloaded=torrent.downloaded,
        peers=torrent.peers,
        seeds=snapshot.seeds if snapshot else 0,
        label=record.label,
        priority=record.priority,
        added=record.added,
        eta_s=torrent.eta_s,
    )
