"""Tables of the file about the machine: page, governor, energy, panel and notifications."""

from decimal import Decimal
from typing import Annotated, Literal

from appliance.core.config.table import Table, decimal, filled, key, whole

_HOURS = "times of day such as 22:00-06:00"
_THOUSANDTH = Decimal("0.001")


class WebConfig(Table, frozen=True, kw_only=True):
    """The status page."""

    address: Annotated[
        str, filled("IP address that the page listens on. Use 127.0.0.1 to keep it to this machine.")
    ] = "0.0.0.0"  # noqa: S104  a page on the phone needs the home network; the claim code guards it
    port: Annotated[int, whole("Port of the page.", 1, 65_535)] = 8080
    hosts: Annotated[
        tuple[str, ...],
        key("More host names for opening the page. IP addresses and the machine's own name always work."),
    ] = ()


class GovernorConfig(Table, frozen=True, kw_only=True):
    """When the box throttles itself: heat, power, disks, memory, the home line and the monthly data."""

    heat_ease: Annotated[int, whole("Throttle from this temperature on.", 40, 100, "°C")] = 75
    heat_hard: Annotated[int, whole("Throttle as much as possible from here on.", 41, 105, "°C")] = 80
    heat_back: Annotated[int, whole("Stop throttling below this temperature.", 35, 99, "°C")] = 70
    floor: Annotated[
        int, whole("Space to keep free on every drive; always at least 5 % of it.", 0, 100_000, "GiB")
    ] = 2
    month_cap: Annotated[
        int, whole("Monthly data allowance, spread over its days.", 0, 10_000_000, "GiB, 0 = unlimited")
    ] = 0
    cap_counts: Annotated[
        Literal["both", "upload", "download"], key("What your internet provider counts.")
    ] = "both"
    cap_day: Annotated[int, whole("Day on which your provider's month begins.", 1, 28)] = 1
    cheap_hours: Annotated[
        tuple[str, ...], key("When electricity is cheap. Empty means the same price all day.", unit=_HOURS)
    ] = ()
    dear_share: Annotated[
        int, whole("Upload while electricity is expensive.", 0, 100, "% of the upload limit")
    ] = 25
    quiet_hours: Annotated[
        tuple[str, ...], key("When disks should rest: no downloads and no checks.", unit=_HOURS)
    ] = ()
    spin_down: Annotated[
        int, whole("Spin down disks that are idle this long in quiet hours.", 0, 330, "minutes, 0 = never")
    ] = 0
    courtesy: Annotated[
        bool, key("Upload more slowly as soon as others at home would notice the upload.")
    ] = True
    courtesy_host: Annotated[
        str, key("Host whose round-trip time is measured. Empty means the first router beyond yours.")
    ] = ""
    courtesy_delay: Annotated[int, whole("How much the upload may add to a round trip.", 5, 500, "ms")] = 20


class EnergyConfig(Table, frozen=True, kw_only=True):
    """What the box costs to run, compared with what it earns."""

    price: Annotated[
        Decimal,
        decimal("Electricity price.", 100_000, "currency per kWh, 0 = unknown", was=_THOUSANDTH),
    ] = Decimal(0)
    cheap_price: Annotated[
        Decimal,
        decimal(
            "Electricity price in governor.cheap_hours.",
            100_000,
            "currency per kWh, 0 = the same",
            was=_THOUSANDTH,
        ),
    ] = Decimal(0)
    currency: Annotated[str, key("Currency of the prices, as three letters.", pattern=r"^[A-Z]{3}$")] = "EUR"
    btt_price: Annotated[
        Decimal,
        decimal("What BTT are worth.", 10**9, "currency per million BTT, 0 = unknown", was=_THOUSANDTH),
    ] = Decimal(0)
    watts: Annotated[
        int,
        whole(
            "Power use of the box and its disks, if you have measured it.",
            0,
            1_000,
            "W, 0 = from the plug, the UPS, or estimated for the board",
        ),
    ] = 0
    plug: Annotated[
        str,
        key("Smart plug that measures watts (Shelly or Tasmota), such as http://192.168.1.20. Empty: none."),
    ] = ""
    ups: Annotated[str, key("UPS that NUT looks after, such as ups@localhost. Empty: none.")] = ""


class PanelConfig(Table, frozen=True, kw_only=True):
    """A light and a button on the board's pins (BCM GPIO numbers)."""

    led: Annotated[int, whole("Pin of the LED.", -1, 53, "-1 = none")] = 17
    led_active_low: Annotated[bool, key("The LED lights up when its pin is low.")] = False
    button: Annotated[int, whole("Pin of a button that connects to ground.", -1, 53, "-1 = none")] = 27


class NotifyConfig(Table, frozen=True, kw_only=True):
    """Notifications. Their addresses contain passwords, so they go into a separate file."""

    file: Annotated[
        str,
        filled(
            "File with one address per line, in apprise's form, such as mailto:// or json://. "
            "Only its owner may read it. A relative path starts at the state folder."
        ),
    ] = "notify"
    least: Annotated[
        Literal["warning", "error"], key("What to notify about: every warning, or only errors.")
    ] = "warning"
    after: Annotated[int, whole("Notify once a problem has lasted this long.", 0, 1_440, "minutes")] = 5
