"""What each command about the box itself does: the seam between control/box.py and the rooms of the box."""

import os
from collections.abc import Mapping, Sequence

from appliance import __version__
from appliance.control import box as api
from appliance.control.command import API_VERSION, Route
from appliance.core.config import all_keys, toml_value, value_of
from appliance.core.errors import OwnerMustAct
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.volumes.volume import Volume
from appliance.entrypoints.daemon.box import Box
from appliance.entrypoints.daemon.handlers.intake import job_shown
from appliance.entrypoints.daemon.overview import states_of

_SPANS: Mapping[str, tuple[int, int]] = {"hour": (60, 1), "day": (144, 10), "month": (120, 360)}
"""Span -> (buckets, minutes in each)."""
_BAD = (Verdict.WARNING, Verdict.ERROR)


class BoxHandlers:
    """One method for each command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.SayHello.answered_by(self.say_hello),
            api.GetStatus.answered_by(self.get_status),
            api.GetHealth.answered_by(self.get_health),
            api.GetTraffic.answered_by(self.get_traffic),
            api.ListEvents.answered_by(self.list_events),
            api.GetLimits.answered_by(self.get_limits),
            api.SetLimits.answered_by(self.set_limits),
            api.ResetLimits.answered_by(self.reset_limits),
            api.GetConfig.answered_by(self.get_config),
        ]

    async def say_hello(self, command: api.SayHello) -> api.Hello:
        """Refused when the client speaks another version."""
        if command.api != API_VERSION:
            raise OwnerMustAct(
                f"This daemon (version {__version__}) speaks control version {API_VERSION}, "
                f"the program that asked {command.api}: bring both to one version."
            )
        return api.Hello(
            api=API_VERSION, version=__version__, name=self._box.config.box.name, pid=os.getpid()
        )

    async def get_status(self, _: api.GetStatus) -> api.Status:
        """The overview."""
        box, network, torrents = self._box, self._box.engine.network, self._box.catalogue.all()
        findings = box.health.findings
        return api.Status(
            revision=box.catalogue.revision,
            sentence=box.overview.sentence(),
            name=box.config.box.name,
            version=__version__,
            now=box.clock.now(),
            uptime_s=box.overview.uptime_s(),
            up_rate=box.meter.up_rate,
            down_rate=box.meter.down_rate,
            uploaded=box.meter.uploaded,
            downloaded=box.meter.downloaded,
            peers=network.peers,
            torrents=states_of(torrents),
            size=sum(torrent.size for torrent in torrents),
            disk=_disk(box.guard.main),
            listen_port=next((port for _, port in network.listening), 0),
            dht_nodes=network.dht_nodes,
            limits=box.limits.current,
            health=_worst(findings),
            problems=[finding for finding in findings if finding.verdict in _BAD],
            jobs=[job_shown(one) for one in box.jobs.list()],
        )

    async def get_health(self, _: api.GetHealth) -> api.Health:
        """All findings, looked at anew."""
        return api.Health(findings=await self._box.health.examine())

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
                value=toml_value(value_of(config, key)),
                default=toml_value(key.default),
                unit=key.unit,
                says=key.says,
            )
            for key in all_keys()
        ]
        return api.ConfigAnswer(path=str(self._box.state.config), entries=entries)


def _disk(content: Volume) -> api.DiskAnswer | None:
    """The drive of the downloads, as it was last seen: asking it now could hang."""
    if not content.present or content.total is None or content.free is None:
        return None
    return api.DiskAnswer(path=content.path, total=content.total, free=content.free)


def _worst(findings: Sequence[Finding]) -> Verdict:
    order = {Verdict.UNKNOWN: 0, Verdict.OK: 1, Verdict.WARNING: 2, Verdict.ERROR: 3}
    return max((finding.verdict for finding in findings), key=order.__getitem__, default=Verdict.UNKNOWN)
