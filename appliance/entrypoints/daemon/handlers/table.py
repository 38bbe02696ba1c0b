"""The table of all commands: which handler carries out which."""

from appliance.control.command import Route
from appliance.entrypoints.daemon.box import Box
from appliance.entrypoints.daemon.handlers.auction import AuctionHandlers
from appliance.entrypoints.daemon.handlers.box import BoxHandlers
from appliance.entrypoints.daemon.handlers.intake import IntakeHandlers
from appliance.entrypoints.daemon.handlers.machine import MachineHandlers
from appliance.entrypoints.daemon.handlers.money import MoneyHandlers
from appliance.entrypoints.daemon.handlers.panel import PanelHandlers
from appliance.entrypoints.daemon.handlers.torrents import TorrentHandlers


def routes(box: Box) -> list[Route]:
    """A route for every command there is."""
    return [
        *BoxHandlers(box).routes(),
        *TorrentHandlers(box.catalogue, box.queries, box.store).routes(),
        *IntakeHandlers(box.catalogue, box.jobs, box.places).routes(),
        *MoneyHandlers(box.money, box.journal, box.state.identity).routes(),
        *AuctionHandlers(box).routes(),
        *MachineHandlers(box).routes(),
        *PanelHandlers(box).routes(),
    ]
