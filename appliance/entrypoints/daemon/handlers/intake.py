"""What each command that brings torrents in does: the seam between control/intake.py and the box."""

import asyncio
from dataclasses import asdict

from appliance.adapters.engine.create import Wanted
from appliance.adapters.engine.metainfo import parse_magnet, parse_torrent
from appliance.control import intake as api
from appliance.control.command import Route
from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.catalogue import AddOptions, Admitted, Catalogue
from appliance.services.intake.jobs import Job, Jobs
from appliance.services.intake.places import Places

LONGEST_NAME = 255
"""Bytes: the longest name of a file on Linux (path_resolution(7), NAME_MAX)."""


class IntakeHandlers:
    """One method for each command, of the same name."""

    def __init__(self, catalogue: Catalogue, jobs: Jobs, places: Places) -> None:
        self._catalogue, self._jobs, self._places = catalogue, jobs, places

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.AddTorrent.answered_by(self.add_torrent),
            api.AddMagnet.answered_by(self.add_magnet),
            api.AddUrl.answered_by(self.add_url),
            api.ShareFolder.answered_by(self.share_folder),
            api.GetJob.answered_by(self.get_job),
            api.CancelJob.answered_by(self.cancel_job),
            api.Browse.answered_by(self.browse),
        ]

    async def add_torrent(self, command: api.AddTorrent) -> api.Added:
        """Add a .torrent file."""
        parsed = await asyncio.to_thread(parse_torrent, command.metainfo)
        return _added(await self._catalogue.add(parsed, _wish(command.options)))

    async def add_magnet(self, command: api.AddMagnet) -> api.Added:
        """Add a magnet link."""
        return _added(await self._catalogue.add(parse_magnet(command.uri.strip()), _wish(command.options)))

    async def add_url(self, command: api.AddUrl) -> api.Started:
        """Begin to fetch a .torrent file."""
        return api.Started(job=self._jobs.fetch(command.url.strip(), _wish(command.options)))

    async def share_folder(self, command: api.ShareFolder) -> api.Started:
        """Begin to share a folder."""
        _name_fits(command.name)
        path = await asyncio.to_thread(self._places.check, command.path)
        if path in self._places.roots:
            raise OwnerMustAct(f"{path} holds all of your folders. Share one of the folders in it.")
        wanted = Wanted(
            path=str(path),
            name=command.name,
            trackers=command.trackers,
            comment=command.comment,
            private=command.private,
            v1_only=command.v1_only,
        )
        return api.Started(job=self._jobs.share(wanted, _wish(command.options)))

    async def get_job(self, command: api.GetJob) -> api.JobAnswer:
        """How far a job is."""
        return job_shown(self._jobs.get(command.id))

    async def cancel_job(self, command: api.CancelJob) -> api.JobAnswer:
        """Stop a job."""
        return job_shown(await self._jobs.cancel(command.id))

    async def browse(self, command: api.Browse) -> api.Folder:
        """List a folder."""
        found = await asyncio.to_thread(self._places.browse, command.path)
        return api.Folder(
            path=command.path,
            parent=found.parent,
            folders=found.folders,
            files=found.files,
            more=found.more,
            left_out=found.left_out,
        )


def _wish(options: api.Options) -> AddOptions:
    return AddOptions(
        label=options.label, priority=options.priority, goal=options.goal, paused=options.paused
    )


def _added(admitted: Admitted) -> api.Added:
    return api.Added(id=admitted.id, name=admitted.name, known=admitted.known, note=admitted.note)


def _name_fits(name: str) -> None:
    if name in (".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise OwnerMustAct(
            f"{name!r} cannot be the name of a torrent. Leave out slashes and control characters."
        )


def job_shown(job: Job) -> api.JobAnswer:
    return api.JobAnswer(**asdict(job))
