"""What each command of the control socket does: the seam between control/api.py and the rooms of the box."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from appliance import __version__
from appliance.adapters.engine.create import Wanted
from appliance.adapters.engine.metainfo import parse_magnet, parse_torrent, torrent_file
from appliance.control import api
from appliance.control.server import Handler
from appliance.core.config import all_keys, toml_value
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.domain.catalogue.catalogue import AddOptions, Admitted
from appliance.domain.catalogue.listing import Query, page, select
from appliance.domain.catalogue.model import State
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.doctor.model import Finding, Verdict
from appliance.entrypoints.daemon.box import Box
from appliance.entrypoints.daemon.handlers.auction import AuctionHandlers
from appliance.entrypoints.daemon.handlers.machine import CareHandlers
from appliance.entrypoints.daemon.handlers.money import MoneyHandlers
from appliance.entrypoints.daemon.handlers.panel import PanelHandlers
from appliance.services.intake.jobs import Job

_SPANS: Mapping[str, tuple[int, int]] = {"hour": (60, 1), "day": (144, 10), "month": (120, 360)}
"""Span -> (buckets, minutes in each)."""
MOST_FILES = 1_000
_BAD = (Verdict.WARNING, Verdict.ERROR)


def handlers(box: Box) -> Mapping[type[api.Command[Any]], Handler]:
    """A handler for every command there is."""
    rooms = (Handlers(box), MoneyHandlers(box), AuctionHandlers(box), CareHandlers(box), PanelHandlers(box))
    return {
        command: next(getattr(room, method) for room in rooms if hasattr(room, method))
        for method, command in api.COMMANDS.items()
    }


class Handlers:
    """One method a command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._catalogue = box.catalogue

    # ------------------------------------------------------------------------------------------ the box

    async def say_hello(self, command: api.SayHello) -> api.Hello:
        """Refused when the client speaks another version."""
        if command.api != api.API_VERSION:
            raise OwnerMustAct(
                f"This daemon (version {__version__}) speaks control version {api.API_VERSION}, "
                f"the program that asked {command.api}: bring both to one version."
            )
        return api.Hello(
            api=api.API_VERSION, version=__version__, name=self._box.config.box.name, pid=os.getpid()
        )

    async def get_status(self, _: api.GetStatus) -> api.Status:
        """The overview."""
        box, states = self._box, self._states()
        findings = box.findings
        problems = [finding for finding in findings if finding.verdict in _BAD]
        return api.Status(
            revision=self._catalogue.revision,
            sentence=box.sentence(),
            name=box.config.box.name,
            version=__version__,
            now=box.clock.now(),
            uptime_s=box.uptime_s(),
            up_rate=box.meter.up_rate,
            down_rate=box.meter.down_rate,
            uploaded=box.meter.uploaded,
            downloaded=box.meter.downloaded,
            peers=box.engine.network.peers,
            torrents=states,
            size=sum(torrent.size for torrent in self._catalogue.all()),
            disk=_disk(str(box.content.path)) if box.mounted else None,
            listen_port=next((port for _, port in box.engine.network.listening), 0),
            dht_nodes=box.engine.network.dht_nodes,
            limits=box.limits.current,
            health=_worst(findings),
            problems=problems,
            jobs=[_job(one) for one in box.jobs.list()],
        )

    async def get_health(self, _: api.GetHealth) -> api.Health:
        """All findings, looked at anew."""
        return api.Health(findings=await self._box.examine())

    async def get_traffic(self, command: api.GetTraffic) -> api.Traffic:
        """Rates over time."""
        count, minutes = _SPANS[command.span]
        start, up, down = await self._box.traffic.buckets(count, minutes)
        # The last bucket is still filling: its mean is over the time that has passed of it.
        passed = max(1, (self._box.clock.now() - start) // 1_000 - (count - 1) * minutes * 60)
        spans = [minutes * 60] * (count - 1) + [min(minutes * 60, passed)]
        return api.Traffic(
            start=start,
            step_s=minutes * 60,
            up=[sent // seconds for sent, seconds in zip(up, spans, strict=True)],
            down=[received // seconds for received, seconds in zip(down, spans, strict=True)],
        )

    async def list_events(self, command: api.ListEvents) -> api.Events:
        """What happened."""
        count = max(1, min(command.count, 200))
        found = await self._box.journal.last(max(0, command.before), count + 1)
        events = [
            api.Event(id=one.id, at=one.at, kind=one.kind, text=one.text, torrent=one.torrent)
            for one in found[:count]
        ]
        return api.Events(events=events, more=len(found) > count)

    async def get_limits(self, _: api.GetLimits) -> api.LimitsAnswer:
        """The limits in force."""
        limits = self._box.limits
        return api.LimitsAnswer(limits=limits.current, configured=limits.configured, changed=limits.changed)

    async def set_limits(self, command: api.SetLimits) -> api.LimitsAnswer:
        """Set some limits."""
        await self._box.limits.change(command.change)
        return await self.get_limits(api.GetLimits())

    async def reset_limits(self, _: api.ResetLimits) -> api.LimitsAnswer:
        """Back to the configuration's."""
        await self._box.limits.reset()
        return await self.get_limits(api.GetLimits())

    async def get_config(self, _: api.GetConfig) -> api.ConfigAnswer:
        """The configuration in force."""
        config = self._box.config
        entries = [
            api.ConfigEntry(
                table=key.table,
                key=key.name,
                value=toml_value(getattr(getattr(config, key.table), key.name)),
                default=toml_value(key.default),
                unit=key.unit,
                says=key.says,
            )
            for key in all_keys()
        ]
        return api.ConfigAnswer(path=str(self._box.config_path), entries=entries)

    # ----------------------------------------------------------------------------------------- torrents

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
            states=self._states(),
            labels=dict(labels),
        )

    async def show_torrent(self, command: api.ShowTorrent) -> api.TorrentDetail:
        """All about one torrent."""
        return await self._detail(self._catalogue.get(command.id))

    async def list_files(self, command: api.ListFiles) -> api.Files:
        """Its files."""
        id = self._catalogue.get(command.id).record.id
        total, rows = await self._box.queries.files(
            id, command.offset, max(0, min(command.count, MOST_FILES))
        )
        return api.Files(total=total, files=rows)

    async def list_peers(self, command: api.ListPeers) -> api.Peers:
        """Its peers."""
        return api.Peers(peers=await self._box.queries.peers(self._catalogue.get(command.id).record.id))

    async def show_pieces(self, command: api.ShowPieces) -> api.Pieces:
        """Its pieces."""
        total, have, buckets = await self._box.queries.pieces(self._catalogue.get(command.id).record.id)
        return api.Pieces(total=total, have=have, buckets=buckets)

    async def get_metainfo(self, command: api.GetMetainfo) -> api.Metainfo:
        """Its .torrent file."""
        record = self._catalogue.get(command.id).record
        if not record.pieces:
            raise RetryLater(
                f'The description of "{record.name}" has not arrived yet; try again when it has.'
            )
        resume = await self._box.store.resume_of(record.id)
        return api.Metainfo(name=record.name, metainfo=await asyncio.to_thread(torrent_file, resume))

    # ------------------------------------------------------------------------------------------- adding

    async def add_torrent(self, command: api.AddTorrent) -> api.Added:
        """Add a .torrent file."""
        parsed = await asyncio.to_thread(parse_torrent, command.metainfo)
        return _added(await self._catalogue.add(parsed, _wish(command.options)))

    async def add_magnet(self, command: api.AddMagnet) -> api.Added:
        """Add a magnet link."""
        return _added(await self._catalogue.add(parse_magnet(command.uri.strip()), _wish(command.options)))

    async def add_url(self, command: api.AddUrl) -> api.Started:
        """Begin to fetch a .torrent file."""
        return api.Started(job=self._box.jobs.fetch(command.url.strip(), _wish(command.options)))

    async def share_folder(self, command: api.ShareFolder) -> api.Started:
        """Begin to share a folder."""
        _name_fits(command.name)
        path = await asyncio.to_thread(self._box.places.check, command.path)
        if path in self._box.places.roots:
            raise OwnerMustAct(f"{path} is where your folders lie; share one of the folders in it.")
        wanted = Wanted(
            path=str(path),
            name=command.name,
            trackers=command.trackers,
            comment=command.comment,
            private=command.private,
            v1_only=command.v1_only,
        )
        return api.Started(job=self._box.jobs.share(wanted, _wish(command.options)))

    async def get_job(self, command: api.GetJob) -> api.Job:
        """How far a job is."""
        return _job(self._box.jobs.get(command.id))

    async def cancel_job(self, command: api.CancelJob) -> api.Job:
        """Stop a job."""
        return _job(await self._box.jobs.cancel(command.id))

    async def browse(self, command: api.Browse) -> api.Folder:
        """Look into a folder."""
        parent, folders, files, more = await asyncio.to_thread(self._box.places.look, command.path)
        return api.Folder(path=command.path, parent=parent, folders=folders, files=files, more=more)

    # ----------------------------------------------------------------------------------------- changing

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

    # ------------------------------------------------------------------------------------------ helpers

    def _states(self) -> dict[str, int]:
        counts = Counter(torrent.state for torrent in self._catalogue.all())
        return {state.value: counts.get(state, 0) for state in State}

    async def _detail(self, torrent: Torrent) -> api.TorrentDetail:
        record, snapshot = torrent.record, torrent.snapshot
        return api.TorrentDetail(
            row=_row(torrent),
            sentence=torrent.state.sentence,
            v1=record.v1,
            v2=record.v2,
            magnet=await self._box.queries.magnet(record.id),
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
            trackers=await self._box.queries.trackers(record.id),
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


def _wish(options: api.Options) -> AddOptions:
    return AddOptions(
        label=options.label, priority=options.priority, goal=options.goal, paused=options.paused
    )


def _added(admitted: Admitted) -> api.Added:
    return api.Added(id=admitted.id, name=admitted.name, known=admitted.known, note=admitted.note)


def _name_fits(name: str) -> None:
    if name in (".", "..") or "/" in name or not name.isprintable() or len(name.encode()) > 255:
        raise OwnerMustAct(
            f"{name!r} cannot be the name of a torrent; leave out slashes and control characters."
        )


def _disk(path: str) -> api.Disk | None:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None
    return api.Disk(path=path, total=usage.total, free=usage.free)


def _worst(findings: list[Finding]) -> Verdict:
    order = {Verdict.UNKNOWN: 0, Verdict.OK: 1, Verdict.WARNING: 2, Verdict.ERROR: 3}
    return max((finding.verdict for finding in findings), key=order.__getitem__, default=Verdict.UNKNOWN)


def _job(job: Job) -> api.Job:
    return api.Job(**asdict(job))
