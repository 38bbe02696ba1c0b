"""`seedbox.toml`: its tables, how it is read and checked, and what is told about its keys."""

from appliance.core.config.file import load as load
from appliance.core.config.file import parse as parse
from appliance.core.config.keys import Key as Key
from appliance.core.config.keys import all_keys as all_keys
from appliance.core.config.keys import default_text as default_text
from appliance.core.config.keys import toml_value as toml_value
from appliance.core.config.keys import value_of as value_of
from appliance.core.config.machine import Energy as Energy
from appliance.core.config.machine import Governor as Governor
from appliance.core.config.machine import Notify as Notify
from appliance.core.config.machine import Panel as Panel
from appliance.core.config.machine import Web as Web
from appliance.core.config.money import Auction as Auction
from appliance.core.config.money import Gateway as Gateway
from appliance.core.config.money import Ledger as Ledger
from appliance.core.config.money import Wallet as Wallet
from appliance.core.config.schema import Config as Config
from appliance.core.config.seeding import Box as Box
from appliance.core.config.seeding import Content as Content
from appliance.core.config.seeding import LimitKeys as LimitKeys
from appliance.core.config.seeding import Network as Network
from appliance.core.config.seeding import Seeding as Seeding
