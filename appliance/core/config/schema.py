"""The whole configuration file: its tables in the order in which they are written."""

from appliance.core.config.machine import Energy, Governor, Notify, Panel, Web
from appliance.core.config.money import Auction, Gateway, Ledger, Wallet
from appliance.core.config.seeding import Box, Content, LimitKeys, Network, Seeding
from appliance.core.config.table import Table


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    box: Box = Box()
    content: Content = Content()
    network: Network = Network()
    limits: LimitKeys = LimitKeys()
    seeding: Seeding = Seeding()
    web: Web = Web()
    wallet: Wallet = Wallet()
    auction: Auction = Auction()
    governor: Governor = Governor()
    energy: Energy = Energy()
    panel: Panel = Panel()
    notify: Notify = Notify()
    ledger: Ledger = Ledger()
    gateway: Gateway = Gateway()
