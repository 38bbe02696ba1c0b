"""A folder for content, and what the volume guard knows of it from one look to the next."""

import asyncio
from dataclasses import replace

from appliance.adapters.board.folder import ContentFolder
from appliance.adapters.board.probe import Spot
from appliance.core.blocking import BlockingCall
from appliance.domain.governor.readings import DiskReading
from appliance.domain.volumes.faults import Condition
from appliance.domain.volumes.volume import Volume


class KeptFolder:
    """One folder for content; not for more than one task at a time."""

    def __init__(self, folder: ContentFolder) -> None:
        self.folder = folder
        self.path = str(folder.path)
        self.blocking = BlockingCall(f"drive {folder.path}")
        self.wake = asyncio.Event()
        self.seen = Volume(path=self.path, condition=Condition.AWAY)
        """As the last look has shown it, without what was tried or reported."""
        self.spot: Spot | None = None
        """What could not be read."""
        self.write_error = ""
        self.written: bool | None = None
        self.read_due = 0.0
        """Seconds of the monotonic clock."""
        self.write_due = 0.0
        self.disk: DiskReading | None = None
        """What the worst drive under it reports."""
        self._failing = ""
        """The drive that was failing when it reported last."""
        self._failing_on = ""
        """The file system under which that was."""
        self.applied: Volume | None = None
        """As the catalogue knows it."""

    def look_closely(self) -> None:
        """Have it read and written at once."""
        self.read_due = self.write_due = 0.0
        self.wake.set()

    def judge(self, disk: DiskReading | None) -> None:
        """Take what the worst drive under it reports. One that was failing and falls silent is not well."""
        self.disk = disk
        if disk and disk.healthy is not None:
            self._failing = "" if disk.healthy else disk.model or disk.device
            self._failing_on = self.folder.uuid

    def lose(self, seen: Volume) -> None:
        """It cannot be used: forget what was found out about its drive before."""
        self.seen = seen
        self.read_due = 0.0
        self.spot, self.write_error, self.written = None, "", None

    @property
    def volume(self) -> Volume:
        """All that is known of it."""
        disk = self.disk
        return replace(
            self.seen,
            uuid=self.folder.uuid,
            writable=self.written if self.seen.present else None,
            read_error=str(self.spot) if self.spot else "",
            write_error=self.write_error,
            healthy=disk.healthy if disk else None,
            failing=self._failing if self._failing_on == self.folder.uuid else "",
            wear_percent=disk.wear_percent if disk else None,
        )
