"""What each command about the machine does: the seam between control/machine.py and the box."""

from dataclasses import asdict

from appliance.control import machine as api
from appliance.control.command import Route
from appliance.core.errors import OwnerMustAct
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.doctor.model import Verdict
from appliance.domain.governor.policy import SAFETY_RULES
from appliance.entrypoints.daemon.box import Box
from appliance.services.machine.volumes import VolumeStatus

LONGEST_OVERRIDE = 7 * 24 * 60
"""Minutes."""


class MachineHandlers:
    """One method a command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.GetReadings.answered_by(self.get_readings),
            api.GetHistory.answered_by(self.get_history),
            api.GetGovernor.answered_by(self.get_governor),
            api.SetOverride.answered_by(self.set_override),
            api.GetEnergy.answered_by(self.get_energy),
            api.ListVolumes.answered_by(self.list_volumes),
            api.ListIssues.answered_by(self.list_issues),
            api.TryNotice.answered_by(self.try_notice),
        ]

    async def get_readings(self, _: api.GetReadings) -> api.ReadingsAnswer:
        """The latest readings."""
        governing = self._box.governing
        return api.ReadingsAnswer(readings=governing.readings, board=governing.board)

    async def get_history(self, command: api.GetHistory) -> api.History:
        """Readings and decisions over time."""
        governing = self._box.governing
        past = await governing.history(command.span)
        throttles = await governing.throttles_since(UtcMs(past.start))
        return api.History(
            **asdict(past),
            decisions=[
                api.PastThrottle(at=one.at, until=one.until, rule=one.rule, says=one.says)
                for one in throttles
            ],
        )

    async def get_governor(self, _: api.GetGovernor) -> api.GovernorAnswer:
        """What the governor does, and why."""
        box = self._box
        return api.GovernorAnswer(
            throttles=[
                api.ThrottleAnswer(rule=one.rule.value, says=one.says, since=one.since)
                for one in box.governing.throttles
            ],
            limits=box.limits.current,
            wanted=box.limits.wanted,
            override_until=box.governing.override_until,
            kept=[rule.value for rule in SAFETY_RULES],
        )

    async def set_override(self, command: api.SetOverride) -> api.GovernorAnswer:
        """Lift throttling for some time."""
        if not 0 <= command.minutes <= LONGEST_OVERRIDE:
            raise OwnerMustAct("Throttling can be lifted for a week at most.")
        await self._box.governing.override(command.minutes)
        return await self.get_governor(api.GetGovernor())

    async def get_energy(self, _: api.GetEnergy) -> api.EnergyAnswer:
        """What it costs to run the box."""
        box = self._box
        account = box.governing.account(await self._earned_day())
        return api.EnergyAnswer(
            watts_mw=account.power.milliwatts,
            source=account.power.source,
            cost_day=account.cost_day,
            earned_day=account.earned_day,
            worth_day=account.worth_day,
            currency=box.config.energy.currency,
            sentence=account.sentence,
        )

    async def _earned_day(self) -> MicroBtt:
        """What the last 24 hours have earned, by the rounds of the auction; nothing for a box without one."""
        trading = self._box.trading
        if trading is None:
            return MicroBtt(0)
        return MicroBtt(sum(one.earned for one in await trading.rounds.buckets(96, 3)))

    async def list_volumes(self, _: api.ListVolumes) -> api.Volumes:
        """The drives that content lies on."""
        statuses = self._box.guard.statuses()
        return api.Volumes(volumes=[_volume(one, main=number == 0) for number, one in enumerate(statuses)])

    async def list_issues(self, command: api.ListIssues) -> api.Issues:
        """What is wrong, and what was."""
        return api.Issues(
            issues=[
                api.IssueAnswer(
                    check=one.check,
                    severity=one.severity,
                    says=one.says,
                    remedy=one.remedy,
                    first=one.first,
                    last=one.last,
                    mended=one.mended,
                    unknown_since=one.unknown_since,
                )
                for one in self._box.issues.listed(mended=command.mended)
            ]
        )

    async def try_notice(self, _: api.TryNotice) -> api.NoticesSent:
        """Send a test to every address."""
        return api.NoticesSent(lines=await self._box.issues.test())


def _volume(status: VolumeStatus, *, main: bool) -> api.VolumeAnswer:
    volume, worst = status.volume, status.worst
    return api.VolumeAnswer(
        path=volume.path,
        uuid=volume.uuid,
        device=volume.device,
        present=volume.present,
        read_only=volume.read_only,
        total=volume.total,
        free=volume.free,
        torrents=status.torrents,
        main=main,
        says="OK" if worst.verdict is Verdict.OK else worst.text,
    )
