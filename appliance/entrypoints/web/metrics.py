"""For monitoring: /healthz, and /metrics in Prometheus' text format with few, bounded series."""

import secrets as compare
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from appliance.control import auction
from appliance.control import machine as care
from appliance.control.box import GetHealth, GetStatus, Health, Status, Verdict
from appliance.control.client import ControlClient
from appliance.control.machine import Firmware, Readings, Supply
from appliance.core.errors import SeedboxError
from appliance.entrypoints.web.guard import secrets_of, signed_in


def metrics_pages(box: ControlClient) -> Blueprint:
    """The pages for machines."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/healthz")
    def healthz() -> ResponseReturnValue:
        """200 while the daemon answers and finds no error."""
        try:
            status = box.call(GetStatus())
        except SeedboxError:
            return {"ok": False, "daemon": "away"}, 503
        well = status.health is not Verdict.ERROR
        return {"ok": well, "health": status.health.value}, 200 if well else 503

    @pages.get("/metrics")
    def metrics() -> ResponseReturnValue:
        """For the owner, for this machine, and for who has the token."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = compare.compare_digest(given.encode(), secrets_of().metrics_token.encode())
        if not (token or signed_in()):
            abort(401)
        registry = CollectorRegistry()
        registry.register(_Reading(box.call(GetStatus()), box.call(GetHealth())))
        registry.register(
            MachineMetrics(
                readings=box.call(care.GetReadings()).readings,
                governor=box.call(care.GetGovernor()),
                volumes=box.call(care.ListVolumes()).volumes,
                issues=[one for one in box.call(care.ListIssues()).issues if not one.mended],
                energy=box.call(care.GetEnergy()),
            )
        )
        registry.register(_Market(box.call(auction.GetAuction()), box.call(auction.ListBids())))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return pages


class _Reading:
    """One reading of the box."""

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
    """One reading of the machine; what is unknown has no series, rather than a false one."""

    readings: Readings
    governor: care.GovernorAnswer
    volumes: list[care.VolumeAnswer]
    issues: list[care.IssueAnswer]
    energy: care.EnergyAnswer

    def collect(self) -> Iterator[Metric]:
        """All series; as many as there are disks, volumes, rules and checks."""
        yield from self._machine()
        yield from self._disks()
        yield from self._line()
        yield from self._decided()
        yield from self._money()

    def _machine(self) -> Iterator[Metric]:
        now = self.readings
        if now.temperature_mc is not None:
            yield GaugeMetricFamily(
                "seedbox_temperature_celsius", "Of the processor.", value=now.temperature_mc / 1_000
            )
        if now.firmware is not None:
            flags = GaugeMetricFamily(
                "seedbox_firmware", "What the board's firmware reports.", labels=["flag", "since"]
            )
            for flag, since, value in _flags(now.firmware):
                if value is not None:
                    flags.add_metric([flag, since], value)
            yield flags
        waits = GaugeMetricFamily(
            "seedbox_pressure_ratio", "Time that some work stood still, of 10 seconds.", labels=["resource"]
        )
        for resource, pressure in (("cpu", now.cpu), ("io", now.io), ("memory", now.memory)):
            if pressure is not None:
                waits.add_metric([resource], pressure.some10 / 1_000_000)
        yield waits
        if now.ram_available is not None:
            yield GaugeMetricFamily(
                "seedbox_memory_available_bytes", "Of the machine.", value=now.ram_available
            )
        if now.supply is not None:
            on_mains = now.supply is Supply.MAINS
            yield GaugeMetricFamily("seedbox_mains", "1 while the UPS has mains power.", value=on_mains)
        if now.battery_percent is not None:
            charge = now.battery_percent / 100
            yield GaugeMetricFamily("seedbox_battery_ratio", "Charge of the UPS.", value=charge)

    def _disks(self) -> Iterator[Metric]:
        families = {
            "healthy": "Its own verdict.",
            "temperature_celsius": "What it tells of itself.",
            "wear_ratio": "Of its life, used up.",
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
        present = GaugeMetricFamily("seedbox_volume_present", "1 while it is there.", labels=["path"])
        free = GaugeMetricFamily("seedbox_volume_free_bytes", "Free for content.", labels=["path"])
        total = GaugeMetricFamily("seedbox_volume_total_bytes", "Size of it.", labels=["path"])
        for volume in self.volumes:
            present.add_metric([volume.path], volume.present)
            if volume.free is not None:
                free.add_metric([volume.path], volume.free)
            if volume.total is not None:
                total.add_metric([volume.path], volume.total)
        yield from (present, free, total)

    def _line(self) -> Iterator[Metric]:
        now = self.readings
        if now.link_up is not None:
            yield GaugeMetricFamily("seedbox_link_up", "Of the default route.", value=now.link_up)
        for name, latency in (("", now.latency_us), ("_base", now.latency_base_us)):
            if latency is not None:
                yield GaugeMetricFamily(
                    f"seedbox_round_trip{name}_seconds", "To the host that is probed.", value=latency / 1e6
                )
        month = GaugeMetricFamily(
            "seedbox_month_bytes", "Payload of the month that the data cap counts.", labels=["direction"]
        )
        month.add_metric(["up"], now.month_up)
        month.add_metric(["down"], now.month_down)
        yield month

    def _decided(self) -> Iterator[Metric]:
        eases = GaugeMetricFamily("seedbox_eased", "1 for each rule that eases the box.", labels=["rule"])
        for rule in sorted({one.rule for one in self.governor.throttles}):
            eases.add_metric([rule], 1)
        yield eases
        rate = GaugeMetricFamily(
            "seedbox_limit_bytes", "Rate in force, a second; 0: none.", labels=["direction"]
        )
        rate.add_metric(["up"], self.governor.limits.upload_rate)
        rate.add_metric(["down"], self.governor.limits.download_rate)
        yield rate
        until = self.governor.override_until / 1_000
        yield GaugeMetricFamily(
            "seedbox_override_until_seconds",
            "Until when the owner has switched easing off; 0: on.",
            value=until,
        )
        open_since = GaugeMetricFamily(
            "seedbox_issue_since_seconds", "Since when an issue is open.", labels=["check", "severity"]
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
            taken = GaugeMetricFamily("seedbox_power_watts", "What the box takes.", labels=["source"])
            taken.add_metric([energy.source], energy.watts_mw / 1_000)
            yield taken
        for name, says, amount in (
            ("cost", "Of its power, a day.", energy.cost_day),
            ("worth", "Of what it earned in 24 hours.", energy.worth_day),
        ):
            if amount is not None:
                money = GaugeMetricFamily(f"seedbox_day_{name}", says, labels=["currency"])
                money.add_metric([energy.currency], amount / 1_000)
                yield money


def _flags(firmware: Firmware) -> Iterator[tuple[str, str, bool | None]]:
    """(flag, since when, whether it is set); None: the board does not tell."""
    for flag, now, boot in (
        ("under_voltage", firmware.under_voltage, firmware.under_voltage_before),
        ("frequency_capped", firmware.frequency_capped, firmware.frequency_capped_before),
        ("throttled", firmware.firmware_throttled, firmware.firmware_throttled_before),
        (
            "soft_temperature_limit",
            firmware.soft_temperature_limit,
            firmware.soft_temperature_limit_before,
        ),
    ):
        yield flag, "now", now
        yield flag, "boot", boot


class _Market:
    """One reading of the auction; amounts in µBTT, prices in µBTT for a MiB."""

    def __init__(self, selling: auction.Auction, bids: auction.Bids) -> None:
        self._selling = selling
        self._bids = bids

    def collect(self) -> Iterator[Metric]:
        """All series; none on a box without an account."""
        selling, bids = self._selling, self._bids
        if not selling.on:
            return
        for name, says, value in (
            ("slots", "Slots that are sold at once.", selling.slots if selling.sell else 0),
            ("slots_sold", "Of them, sold now.", len(selling.sold)),
            ("bids_waiting", "Bids that have no slot.", len(selling.waiting)),
            ("price", "Of the last round in which a slot was sold.", selling.price),
            ("reserve", "Least price now.", selling.reserve),
            ("debts", "Owed for leases that have ended.", selling.debts),
            ("own_bids", "Markets that the box bids at.", sum(bool(one.bid) for one in bids.bids)),
            ("own_slots", "Slots of others that the box has.", sum(one.won for one in bids.bids)),
            ("spent_today", "On downloading, by the ledger's day.", bids.day_spent),
        ):
            yield GaugeMetricFamily(f"seedbox_auction_{name}", says, value=value)
