"""The sensors of the machine: all its readings in one place."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.adapters.board.disks import Disks
from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.firmware import FirmwareFlags
from appliance.adapters.board.heat import Thermometer
from appliance.adapters.board.link import DefaultLink
from appliance.adapters.board.load import load_milli, memory, pressure
from appliance.adapters.board.model import board_model
from appliance.adapters.board.plug import Plug
from appliance.adapters.board.programs import Programs, Run
from appliance.adapters.board.smartfiles import from_files
from appliance.adapters.board.ups import Ups, UpsReading
from appliance.domain.governor.readings import DiskReading, Firmware, Pressure, Readings


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickReading:
    """The readings that the kernel's files give at once; each field is that of `Readings`."""

    temperature_mc: int | None
    firmware: Firmware | None
    cpu: Pressure | None
    io: Pressure | None
    memory: Pressure | None
    load_milli: int | None
    ram_total: int | None
    ram_available: int | None
    link_up: bool | None
    link_mbit: int | None

    def onto(self, readings: Readings) -> Readings:
        """The readings with all of these renewed."""
        return replace(
            readings,
            temperature_mc=self.temperature_mc,
            firmware=self.firmware,
            cpu=self.cpu,
            io=self.io,
            memory=self.memory,
            load_milli=self.load_milli,
            ram_total=self.ram_total,
            ram_available=self.ram_available,
            link_up=self.link_up,
            link_mbit=self.link_mbit,
        )


class Sensors:
    """Reads the machine. Nothing here raises, and what cannot be read is None.

    `quick` may be called in the event loop; `supply`, `watts` and `slow` ask programs or the network and
    belong into threads, each into one at a time.
    """

    def __init__(
        self, root: Path = Path("/"), run: Run | None = None, *, ups: str = "", plug: str = ""
    ) -> None:
        """`ups` and `plug` as in the configuration; raises OwnerMustAct where one is impossible."""
        kernel, asked = KernelFiles(root), run or from_files(Programs())
        self._kernel = kernel
        self._thermometer = Thermometer(kernel)
        self._firmware = FirmwareFlags(kernel, asked)
        self._link = DefaultLink(kernel)
        self._disks = Disks(kernel, asked)
        self._ups = Ups(ups, asked) if ups else None
        self._plug = Plug(plug) if plug else None

    def quick(self) -> QuickReading:
        """Read what is cheap: some dozen small files of the kernel, in less than a millisecond."""
        ram, link = memory(self._kernel), self._link.read()
        return QuickReading(
            temperature_mc=self._thermometer.read(),
            firmware=self._firmware.read(),
            cpu=pressure(self._kernel, "cpu"),
            io=pressure(self._kernel, "io"),
            memory=pressure(self._kernel, "memory"),
            load_milli=load_milli(self._kernel),
            ram_total=ram.get("MemTotal"),
            ram_available=ram.get("MemAvailable"),
            link_up=link.up,
            link_mbit=link.mbit,
        )

    def supply(self) -> UpsReading:
        """Mains or battery, by the UPS. On a Raspberry Pi whose kernel has no flags, asks vcgencmd too."""
        self._firmware.ask()
        return self._ups.read() if self._ups else UpsReading()

    def watts(self) -> int | None:
        """The power that the smart plug measures, in milliwatts; None without one.

        Waits for seconds where the plug is away, as in a power cut; so it is none of `supply`.
        """
        return self._plug.read() if self._plug else None

    def slow(self, devices: Iterable[str]) -> tuple[DiskReading, ...]:
        """Read the drives under devices such as `/dev/sda1`, and find new sensors; takes seconds for each."""
        self._thermometer.refresh()
        self._firmware.refresh()
        return self._disks.read(devices)

    def board_model(self) -> str:
        """The board's name, such as `Raspberry Pi 4 Model B Rev 1.4`; empty where it is not known."""
        return board_model(self._kernel)

    def boot(self) -> str:
        """The id of this boot (/proc/sys/kernel/random/boot_id); the monotonic clock starts with it."""
        return self._kernel.text("proc/sys/kernel/random/boot_id") or ""

    def rotational(self, device: str) -> bool | None:
        """Whether a drive such as `/dev/sda` turns (Linux: ABI/stable/sysfs-block)."""
        turns = self._kernel.number(f"sys/class/block/{device.rpartition('/')[2]}/queue/rotational")
        return None if turns is None else turns == 1
