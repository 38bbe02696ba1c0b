"""`seedbox.toml`: its tables, how it is read and checked, and what is told about its keys."""

from appliance.core.config.file import load as load
from appliance.core.config.file import parse as parse
from appliance.core.config.keys import ConfigKey as ConfigKey
from appliance.core.config.keys import all_keys as all_keys
from appliance.core.config.keys import default_text as default_text
from appliance.core.config.keys import toml_value as toml_value
from appliance.core.config.keys import value_of as value_of
from appliance.core.config.machine import EnergyConfig as EnergyConfig
from appliance.core.config.machine import GovernorConfig as GovernorConfig
from appliance.core.config.machine import NotifyConfig as NotifyConfig
from appliance.core.config.machine import PanelConfig as PanelConfig
from appliance.core.config.machine import WebConfig as WebConfig
from appliance.core.config.money import AuctionConfig as AuctionConfig
from appliance.core.config.money import GatewayConfig as GatewayConfig
from appliance.core.config.money import LedgerConfig as LedgerConfig
from appliance.core.config.money import WalletConfig as WalletConfig
from appliance.core.config.schema import Config as Config
from appliance.core.config.seeding import BoxConfig as BoxConfig
from appliance.core.config.seeding import ContentConfig as ContentConfig
from appliance.core.config.seeding import LimitsConfig as LimitsConfig
from appliance.core.config.seeding import NetworkConfig as NetworkConfig
from appliance.core.config.seeding import SeedingConfig as SeedingConfig
