"""For monitoring: /healthz, and /metrics in Prometheus' text format with few, bounded series."""

import secrets as compare
from collections.abc import Iterator

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from appliance.control import auction
from appliance.control.api import GetHealth, GetStatus, Health, Status, Verdict
from appliance.control.client import ControlClient
from appliance.errors import SeedboxError
from appliance.web.guard import secrets_of, signed_in


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
