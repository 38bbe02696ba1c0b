"""What is still to be written of the catalogue, and its writing: few batches, and nothing is dropped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from appliance.core.errors import RetryLater
from appliance.domain.catalogue.ports import RecordStore
from appliance.domain.catalogue.torrent import Torrent

WRITE_S = 20.0
"""A drive that takes longer to write out what is in memory hangs; others do not wait for it."""

log = logging.getLogger(__name__)


class CatalogueKeeper:
    """Collects changes until `flush`; what cannot be written stays for the next one."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.wake = asyncio.Event()
        """Set when something should be written soon."""
        self._records: set[str] = set()
        self._resumes: dict[str, bytes] = {}
        self._totals: set[str] = set()
        self._later: list[Callable[[], Awaitable[None]]] = []
        self._writing = asyncio.Lock()

    def record(self, id: str) -> None:
        """The record of this torrent changed."""
        self._records.add(id)

    def resume(self, id: str, data: bytes) -> None:
        """New resume data."""
        self._resumes[id] = data

    def total(self, id: str) -> None:
        """Its totals changed."""
        self._totals.add(id)

    def later(self, effect: Callable[[], Awaitable[None]]) -> None:
        """Do this at the next flush, in order, and again if it fails with RetryLater."""
        self._later.append(effect)
        self.wake.set()

    def drop(self, id: str) -> None:
        """It is gone: nothing of it needs to be written."""
        self._records.discard(id)
        self._resumes.pop(id, None)
        self._totals.discard(id)

    async def flush(self, torrents: Mapping[str, Torrent], *, totals: bool) -> None:
        """Write what changed; totals only when asked to. A full disk leaves the rest for the next time.

        One after another: who returns from here knows that what was changed before the call is written.
        """
        async with self._writing:
            try:
                while self._later:
                    await self._later[0]()
                    self._later.pop(0)
                await self._flush_records(torrents)
                await self._flush_resumes(torrents)
                if totals:
                    await self._flush_totals(torrents)
            except RetryLater as error:
                log.warning("not saved yet: %s", error)

    async def _flush_records(self, torrents: Mapping[str, Torrent]) -> None:
        ids, self._records = self._records, set()
        if records := [torrents[id].record for id in ids if id in torrents]:
            try:
                await self.store.put(records, durable=True)
            except BaseException:
                self._records |= ids
                raise

    async def _flush_resumes(self, torrents: Mapping[str, Torrent]) -> None:
        resumes, self._resumes = self._resumes, {}
        # What has left the engine with its drive is not vouched for: its data may not have reached the drive.
        here = {id: data for id, data in resumes.items() if id in torrents and torrents[id].in_engine}
        if not here:
            return
        try:
            await self._put_resumes(torrents, here, {torrents[id].record.folder for id in here})
        except RetryLater:
            # One drive that cannot be written must not cost the torrents of others their progress.
            await self._flush_by_folder(torrents, here)
        except BaseException:
            self._resumes = here | self._resumes
            raise

    async def _flush_by_folder(self, torrents: Mapping[str, Torrent], resumes: dict[str, bytes]) -> None:
        failed: RetryLater | None = None
        for folder in {torrents[id].record.folder for id in resumes}:
            # A drive may have been taken out of use while another one kept us waiting.
            part = {id: data for id, data in resumes.items() if _lies_in(torrents.get(id), folder)}
            try:
                if part:
                    await self._put_resumes(torrents, part, {folder})
            except BaseException as error:
                self._resumes = part | self._resumes
                if not isinstance(error, RetryLater):
                    raise
                failed = error
        if failed:
            raise failed

    async def _put_resumes(
        self, torrents: Mapping[str, Torrent], resumes: dict[str, bytes], folders: set[str]
    ) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                await self.store.put_resume(resumes, folders)
        except TimeoutError as error:
            raise RetryLater(f"{', '.join(sorted(folders))} is not written out in time.") from error
        for id in resumes:
            if id in torrents:
                torrents[id].unsynced = False

    async def _flush_totals(self, torrents: Mapping[str, Torrent]) -> None:
        ids, self._totals = self._totals, set()
        here = [torrents[id] for id in ids if id in torrents]
        totals = {one.record.id: (one.uploaded, one.downloaded, one.seeding_s) for one in here}
        try:
            if totals:
                await self.store.put_totals(totals)
        except BaseException:
            self._totals |= ids
            raise


def _lies_in(torrent: Torrent | None, folder: str) -> bool:
    return torrent is not None and torrent.in_engine and torrent.record.folder == folder
