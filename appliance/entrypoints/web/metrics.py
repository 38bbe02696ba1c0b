"""Monitoring: /healthz, and /metrics in the Prometheus text format with few, bounded series."""

import secrets as compare
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from appliance.control import auction, machine
from appliance.control.box import GetHealth, GetStatus, Health, Status, Verdict
from appliance.control.client import ControlClient
from appliance.control.machine import Firmware, Readings, Supply
from appliance.core.errors import SeedboxError
from appliance.entrypoints.web.guard import secrets_of, signed_in


def metrics_pages(box: ControlClient) -> Blueprint:
    """/healthz and /metrics of the box behind `box`."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/healthz")
    def healthz() -> ResponseReturnValue:
        """Answer 200 while the daemon answers and finds no error, else 503."""
        try:
            status = box.call(GetStatus())
        except SeedboxError:
            return {"ok": False, "daemon": "away"}, 503
        well = status.health is not Verdict.ERROR
        return {"ok": well, "health": status.health.value}, 200 if well else 503

    @pages.get("/metrics")
    def metrics() -> ResponseReturnValue:
        """Answer with all series to the owner, and to those who have the token."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = compare.compare_digest(given.encode(), secrets_of().metrics_token.encode())
        if not (token or signed_in()):
            abort(401)
        registry = CollectorRegistry()
        registry.register(_BoxMetrics(box.call(GetStatus()), box.call(GetHealth())))
        registry.register(
            MachineMetrics(
                readings=box.call(machine.GetReadings()).readings,
                governor=box.call(machine.GetGovernor()),
                volumes=box.call(machine.ListVolumes()).volumes,
                issues=[one for one in box.call(machine.ListIssues()).issues if not one.mended],
                energy=box.call(machine.GetEnergy()),
            )
        )
        registry.register(_AuctionMetrics(box.call(auction.GetAuction()), box.call(auction.ListBids())))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return pages


class _BoxMetrics:
    """The series of status and checks, for one scrape."""

    def __init__(self, status: Status, health: Health) -> None:
        self._status = status
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """All series."""
        status = self._status
        payload = CounterMetricFamily(
            "seedbox_payload_bytes", "Payload since the first start.", labels=["direction"]
        )
        payload.add_metric(["up"], status.uploaded)
        payload.add_metric(["down"], status.downloaded)
        yield payload
        rate = GaugeMetricFamily("seedbox_payload_rate_bytes", "Payload per second.", labels=["direction"])
        rate.add_metric(["up"], status.up_rate)
        rate.add_metric(["down"], status.down_rate)
        yield rate
        torrents = GaugeMetricFamily("seedbox_torrents", "Torrents by state.", labels=["state"])
        for state, count in status.torrents.items():
            torrents.add_metric([state], count)
        yield torrents
        yield GaugeMetricFamily("seedbox_peers", "Connected peers.", value=status.peers)
        yield GaugeMetricFamily("seedbox_dht_nodes", "DHT nodes known.", value=status.dht_nodes)
        yield GaugeMetricFamily("seedbox_content_bytes", "Content held.", value=status.size)
        yield GaugeMetricFamily(
            "seedbox_uptime_seconds", "Time since the daemon's start.", value=status.uptime_s
        )
        if status.disk:
            yield GaugeMetricFamily("seedbox_disk_free_bytes", "Free for content.", value=status.disk.free)
            yield GaugeMetricFamily("seedbox_disk_total_bytes", "Size of the disk.", value=status.disk.total)
        found = GaugeMetricFamily(
            "seedbox_health", "1 for the verdict of each check.", labels=["check", "verdict"]
        )
        for finding in self._health.findings:
            found.add_metric([finding.check, finding.verdict.value], 1)
        yield found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MachineMetrics:
    """The series of the machine, for one scrape; what is unknown has no series rather than a false one."""

    readings: Readings
    governor: machine.GovernorAnswer
    volumes: list[machine.VolumeAnswer]
    issues: list[machine.IssueAnswer]
    energy: machine.EnergyAnswer

    def collect(self) -> Iterator[Metric]:
        """All series; as many as there are disks, volumes, rules and checks."""
        yield from self._machine()
        yield from self._disks()
        yield from self._volumes()
        yield from self._line()
        yield from self._decided()
        yield from self._issues()
        yield from self._money()

    def _machine(self) -> Iterator[Metric]:
        now = self.readings
        yield from _known("temperature_celsius", "Processor temperature.", now.temperature_mc, 1_000)
        if now.firmware is not None:
            yield _labelled("firmware", "Flags of the board's firmware.", _firmware_flags(now.firmware))
        yield _labelled("pressure_ratio", "Pressure (PSI) over the last 10 seconds.", _pressures(now))
        yield from _known("memory_available_bytes", "Available RAM.", now.ram_available)
        on_mains = None if now.supply is None else now.supply is Supply.MAINS
        yield from _known("mains", "1 while the UPS has mains power.", on_mains)
        yield from _known("battery_ratio", "Charge of the UPS.", now.battery_percent, 100)

    def _disks(self) -> Iterator[Metric]:
        families = {
            "healthy": "1 while SMART reports it healthy.",
            "temperature_celsius": "Temperature by SMART.",
            "wear_ratio": "Share of its life used up.",
            "bad_sectors": "Reallocated, pending and uncorrectable.",
        }
        found = {
            name: GaugeMetricFamily(f"seedbox_disk_{name}", says, labels=["device"])
            for name, says in families.items()
        }
        for disk in self.readings.disks:
            for name, value, parts in (
                ("healthy", disk.healthy, 1),
                ("temperature_celsius", disk.temperature_mc, 1_000),
                ("wear_ratio", disk.wear_percent, 100),
                ("bad_sectors", disk.bad_sectors, 1),
            ):
                if value is not None:
                    found[name].add_metric([disk.device], value / parts)
        yield from found.values()

    def _volumes(self) -> Iterator[Metric]:
        present = GaugeMetricFamily("seedbox_volume_present", "1 while it is connected.", labels=["path"])
        free = GaugeMetricFamily("seedbox_volume_free_bytes", "Free for content.", labels=["path"])
        total = GaugeMetricFamily("seedbox_volume_total_bytes", "Size.", labels=["path"])
        for volume in self.volumes:
            present.add_metric([volume.path], volume.present)
            if volume.free is not None:
                free.add_metric([volume.path], volume.free)
            if volume.total is not None:
                total.add_metric([volume.path], volume.total)
        yield from (present, free, total)

    def _line(self) -> Iterator[Metric]:
        now = self.readings
        yield from _known("link_up", "1 while the network is connected.", now.link_up)
        yield from _known("round_trip_seconds", "Latency to the probed host.", now.latency_us, 1e6)
        yield from _known("round_trip_base_seconds", "The same, idle.", now.latency_base_us, 1e6)
        month = GaugeMetricFamily(
            "seedbox_month_bytes", "Payload this month, as counted by the data cap.", labels=["direction"]
        )
        month.add_metric(["up"], now.month_up)
        month.add_metric(["down"], now.month_down)
        yield month

    def _decided(self) -> Iterator[Metric]:
        eases = GaugeMetricFamily("seedbox_eased", "1 for each rule that throttles the box.", labels=["rule"])
        for rule in sorted({one.rule for one in self.governor.throttles}):
            eases.add_metric([rule], 1)
        yield eases
        rate = GaugeMetricFamily(
            "seedbox_limit_bytes", "Rate limit in bytes per second; 0: unlimited.", labels=["direction"]
        )
        rate.add_metric(["up"], self.governor.limits.upload_rate)
        rate.add_metric(["down"], self.governor.limits.download_rate)
        yield rate
        until = self.governor.override_until / 1_000
        yield GaugeMetricFamily(
            "seedbox_override_until_seconds",
            "Time until which the owner has lifted throttling; 0: not lifted.",
            value=until,
        )

    def _issues(self) -> Iterator[Metric]:
        open_since = GaugeMetricFamily(
            "seedbox_issue_since_seconds", "Time since which an issue is open.", labels=["check", "severity"]
        )
        since: dict[tuple[str, str], int] = {}
        for issue in self.issues:
            key = (issue.check, issue.severity.value)
            since[key] = min(issue.first, since.get(key, issue.first))
        for (check, severity), first in since.items():
            open_since.add_metric([check, severity], first / 1_000)
        yield open_since

    def _money(self) -> Iterator[Metric]:
        energy = self.energy
        if energy.watts_mw is not None:
            taken = GaugeMetricFamily("seedbox_power_watts", "Power draw.", labels=["source"])
            taken.add_metric([energy.source], energy.watts_mw / 1_000)
            yield taken
        for name, says, amount in (
            ("cost", "Cost of power per day.", energy.cost_day),
            ("worth", "Worth of the earnings of the last 24 hours.", energy.worth_day),
        ):
            if amount is not None:
                money = GaugeMetricFamily(f"seedbox_day_{name}", says, labels=["currency"])
                money.add_metric([energy.currency], amount / 1_000)
                yield money


def _known(name: str, text: str, value: int | None, parts: float = 1) -> Iterator[Metric]:
    """The series of a value in `parts` of its unit, if it is known."""
    if value is not None:
        yield GaugeMetricFamily(f"seedbox_{name}", text, value=value / parts)


def _labelled(name: str, text: str, values: Iterable[tuple[dict[str, str], float | None]]) -> Metric:
    """The series of one name with different labels; without those that are unknown."""
    family = GaugeMetricFamily(f"seedbox_{name}", text)
    for labels, value in values:
        if value is not None:
            family.add_sample(family.name, labels, value)
    return family


def _pressures(now: Readings) -> Iterator[tuple[dict[str, str], float]]:
    """The share of time that some work waited, by resource."""
    for resource, pressure in (("cpu", now.cpu), ("io", now.io), ("memory", now.memory)):
        if pressure is not None:
            yield {"resource": resource}, pressure.some10 / 1_000_000


def _firmware_flags(firmware: Firmware) -> Iterator[tuple[dict[str, str], bool | None]]:
    """The labels and state of each flag; None where only the kernel's voltage alarm can be read."""
    for flag, now, since_boot in (
        ("under_voltage", firmware.under_voltage, firmware.under_voltage_before),
        ("frequency_capped", firmware.frequency_capped, firmware.frequency_capped_before),
        ("throttled", firmware.firmware_throttled, firmware.firmware_throttled_before),
        ("soft_temperature_limit", firmware.soft_temperature_limit, firmware.soft_temperature_limit_before),
    ):
        yield {"flag": flag, "since": "now"}, now
        yield {"flag": flag, "since": "boot"}, since_boot


class _AuctionMetrics:
    """The series of the auction, for one scrape; amounts in µBTT, prices in µBTT/MiB."""

    def __init__(self, selling: auction.AuctionAnswer, bids: auction.Bids) -> None:
        self._selling = selling
        self._bids = bids

    def collect(self) -> Iterator[Metric]:
        """All series; none on a box without an account."""
        selling, bids = self._selling, self._bids
        if not selling.on:
            return
        for name, says, value in (
            ("slots", "Slots for sale.", selling.slots if selling.sell else 0),
            ("slots_sold", "Slots sold now.", len(selling.sold)),
            ("bids_waiting", "Bids without a slot.", len(selling.waiting)),
            ("price", "Price of the last round in which a slot was sold.", selling.price),
            ("reserve", "Minimum price now.", selling.reserve),
            ("debts", "Unpaid for leases that have ended.", selling.debts),
            ("own_bids", "Sellers that the box bids at.", sum(bool(one.bid) for one in bids.bids)),
            ("own_slots", "Slots that the box has bought.", sum(one.won for one in bids.bids)),
            ("spent_today", "Spent on downloads, by the ledger's day.", bids.day_spent),
        ):
            yield GaugeMetricFamily(f"seedbox_auction_{name}", says, value=value)
