"""A GPIO chip made by the kernel's gpio-sim (Documentation/admin-guide/gpio/gpio-sim.rst)."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_CONFIG = Path("/sys/kernel/config/gpio-sim")


class SimulatedChip:
    """32 lines that programs see as /dev/gpiochipN, and tests from the other side."""

    def __init__(self) -> None:
        if not _CONFIG.is_dir():
            pytest.skip("this kernel has no gpio-sim (CONFIG_GPIO_SIM), or configfs is not mounted")
        if not os.access(_CONFIG, os.W_OK):
            pytest.skip("only root may make a simulated GPIO chip")
        self._folder = _CONFIG / f"seedbox-{os.getpid()}"

    def __enter__(self) -> Self:
        (self._folder / "bank0").mkdir(parents=True)
        (self._folder / "bank0" / "num_lines").write_text("32")
        (self._folder / "live").write_text("1")
        device = (self._folder / "dev_name").read_text().strip()
        self.name = (self._folder / "bank0" / "chip_name").read_text().strip()
        self._lines = Path("/sys/devices/platform", device, self.name)
        return self

    @property
    def number(self) -> int:
        """N of /dev/gpiochipN."""
        return int(self.name.removeprefix("gpiochip"))

    def value(self, line: int) -> int:
        """What a line is at now, as a program drives it or a test pulls it."""
        return int((self._lines / f"sim_gpio{line}" / "value").read_text())

    def pull(self, line: int, up: bool) -> None:
        """Pull an input to the supply or to ground."""
        (self._lines / f"sim_gpio{line}" / "pull").write_text("pull-up" if up else "pull-down")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        (self._folder / "live").write_text("0")
        (self._folder / "bank0").rmdir()
        self._folder.rmdir()
