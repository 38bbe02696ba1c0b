"""From facts to findings: pure rules, each with a remedy that a person can carry out.

Whatever the governor acts on has its threshold there, or in the owner's settings, and is only asked for here.
"""

from collections.abc import Iterator

from appliance.core.units import show_bytes
from appliance.domain.doctor.facts import Facts, MachineFacts
from appliance.domain.doctor.model import Finding, error, ok, unknown, warning
from appliance.domain.doctor.network import examine_network
from appliance.domain.governor.hours import SET_SINCE_YEAR
from appliance.domain.governor.pressure import memory_is_low
from appliance.domain.governor.room import FEW_INODES_PERCENT, SPENT, floor_of
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.volumes.volume import Volume

FEW_FILES = 1_024
_LACKS = {
    "vfat": "sparse files, or files over 4 GiB",
    "msdos": "sparse files, or files over 4 GiB",
    "exfat": "sparse files",
}
"""What file systems of SD cards and USB sticks cannot store."""


def examine(facts: Facts, settings: GovernorSettings) -> list[Finding]:
    """One finding for each thing looked at; what could not be learnt is `unknown`.

    `settings` are the governor's: what it throttles by is what is warned of.
    """
    return [*_network(facts), *_machine(facts.machine, settings)]


def _network(facts: Facts) -> Iterator[Finding]:
    if facts.network is not None:
        yield from examine_network(facts.network)
        return
    yield unknown("listen-port", "Whether peers can reach the box is only known while it runs.")
    yield _folder("content", facts.machine.content)


def _machine(machine: MachineFacts, settings: GovernorSettings) -> Iterator[Finding]:
    yield _clock(machine)
    yield from _room_and_kind("content", machine.content, settings.floor)
    yield _folder("state", machine.state)
    yield from _room_and_kind("state", machine.state, settings.floor)
    yield _card(machine.content)
    yield _ram(machine)
    yield _heat(machine, settings)
    yield _ipv6(machine)
    yield _files(machine)


def _clock(machine: MachineFacts) -> Finding:
    if machine.year < SET_SINCE_YEAR:
        return error(
            "clock",
            f"The clock says it is {machine.year}; it was never set.",
            "Connect the box to the network so that it gets the time (timedatectl set-ntp true).",
        )
    if machine.clock_synchronised is None:
        return unknown("clock", "It is not known whether the clock is synchronised.")
    if not machine.clock_synchronised:
        says = "The clock is not synchronised over the network."
        return warning("clock", says, "Turn synchronisation on: timedatectl set-ntp true.")
    return ok("clock", "The clock is set and synchronised.")


def _folder(name: str, volume: Volume) -> Finding:
    check = f"{name}-folder"
    if not volume.present:
        says = f"The {name} folder {volume.path} does not exist."
        return error(check, says, "Connect its drive, or correct its path in seedbox.toml.")
    if not volume.writable:
        says = f"The box has no permission to write to the {name} folder {volume.path}."
        return error(check, says, "Allow it (chown), or check if the drive became read-only after an error.")
    return ok(check, f"The {name} folder {volume.path} is writable.")


def _room_and_kind(name: str, volume: Volume, reserve: int) -> Iterator[Finding]:
    yield _room(f"{name}-room", f"The {name} folder", volume, reserve)
    if lacks := _LACKS.get(volume.kind):
        says = f"The {name} folder is on {volume.kind}, which cannot store {lacks}."
        yield warning(f"{name}-filesystem", says, "Format the drive with ext4 when it is empty.")


def _room(check: str, name: str, volume: Volume, reserve: int) -> Finding:
    if volume.free is None or volume.total is None:
        return unknown(check, f"{name}: the free space cannot be read.")
    inodes = volume.inodes_free_percent
    if inodes is not None and inodes < FEW_INODES_PERCENT:
        says = f"{name} has almost no room for more files (inodes)."
        return warning(check, says, "Delete small files that you do not need.")
    says = f"{name} has {show_bytes(volume.free)} free of {show_bytes(volume.total)}."
    return _free(check, says, volume.free, floor_of(volume.total, reserve))


def _free(check: str, says: str, free: int, floor: int) -> Finding:
    if free < min(SPENT, floor):
        return error(check, says, "Free up space: remove torrents together with their data.")
    if free < floor:
        return warning(check, says, "Free up space soon, or connect a larger drive.")
    return ok(check, says)


def _card(volume: Volume) -> Finding:
    if not volume.device:
        return unknown("content-device", "It is not known which drive the content is on.")
    if "mmcblk" in volume.device:
        return warning(
            "content-device",
            "The content is on the SD card, which wears out by writing.",
            "Connect a USB drive, and set content.root in seedbox.toml to a folder on it.",
        )
    return ok("content-device", f"The content is on {volume.device}.")


def _ram(machine: MachineFacts) -> Finding:
    if machine.ram_available is None or machine.ram_total is None:
        return unknown("memory", "The available memory cannot be read.")
    says = f"{show_bytes(machine.ram_available)} of {show_bytes(machine.ram_total)} memory are available."
    if memory_is_low(machine.ram_available, machine.ram_total):
        return warning("memory", says, "Close other programs, or lower limits.connections in seedbox.toml.")
    return ok("memory", says)


def _heat(machine: MachineFacts, settings: GovernorSettings) -> Finding:
    if machine.temperature_mc is None:
        return unknown("temperature", "This machine does not report its temperature.")
    says = f"The processor is at {machine.temperature_mc // 1_000} °C."
    if machine.temperature_mc >= settings.heat_hard:
        return error("temperature", says, "Improve the airflow or add a heat sink: it slows itself down.")
    if machine.temperature_mc >= settings.heat_ease:
        return warning("temperature", says, "Improve the airflow.")
    return ok("temperature", says)


def _ipv6(machine: MachineFacts) -> Finding:
    if machine.ipv6 is None:
        return unknown("ipv6", "It is not known whether this machine has IPv6.")
    if machine.ipv6:
        return ok("ipv6", "The machine has IPv6, so peers can reach it without port forwarding.")
    says = "The machine has no IPv6 address; some peers cannot be reached."
    return unknown("ipv6", says, "Turn on IPv6 in the router.")


def _files(machine: MachineFacts) -> Finding:
    if machine.open_files_limit is None:
        return unknown("open-files", "The limit on open files cannot be read.")
    if machine.open_files_limit < FEW_FILES:
        return warning(
            "open-files",
            f"The box can open only {machine.open_files_limit} files and connections at once.",
            "Raise the limit (ulimit -n 4096, or LimitNOFILE in the systemd unit).",
        )
    return ok("open-files", f"The box can open {machine.open_files_limit} files and connections at once.")
