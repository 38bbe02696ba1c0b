"""The whole configuration file: its tables in the order in which they are written."""

from appliance.core.config.machine import EnergyConfig, GovernorConfig, NotifyConfig, PanelConfig, WebConfig
from appliance.core.config.money import AuctionConfig, GatewayConfig, LedgerConfig, WalletConfig
from appliance.core.config.seeding import BoxConfig, ContentConfig, LimitsConfig, NetworkConfig, SeedingConfig
from appliance.core.config.table import Table


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    box: BoxConfig = BoxConfig()
    content: ContentConfig = ContentConfig()
    network: NetworkConfig = NetworkConfig()
    limits: LimitsConfig = LimitsConfig()
    seeding: SeedingConfig = SeedingConfig()
    web: WebConfig = WebConfig()
    wallet: WalletConfig = WalletConfig()
    auction: AuctionConfig = AuctionConfig()
    governor: GovernorConfig = GovernorConfig()
    energy: EnergyConfig = EnergyConfig()
    panel: PanelConfig = PanelConfig()
    notify: NotifyConfig = NotifyConfig()
    ledger: LedgerConfig = LedgerConfig()
    gateway: GatewayConfig = GatewayConfig()
