"""`seedbox panel` on pins that a test sees: `python -m tests.support.panel STATE [CHIP]`.

Without a chip on gpiozero's mock pins: each state of the LED's pin is a line on standard output, and the
lines `down` and `up` on standard input press the button. With the number of a simulated chip on lgpio.
"""

import contextlib
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.core.config import load
from appliance.core.state import StateFolder
from appliance.entrypoints.panel.main import serve

PI_3B = 0xA02082


class TellingPin(MockPWMPin):  # type: ignore[misc]  # gpiozero has no types
    """Prints what it is set to."""

    def _change_state(self, value: float) -> bool:
        changed = bool(super()._change_state(value))
        if changed and self.function == "output":
            print(f"led {float(value):.2f}", flush=True)
        return changed


def _mock(button: int) -> MockFactory:
    factory = MockFactory(pin_class=TellingPin)

    def hands() -> None:
        for line in sys.stdin:
            pin = factory.pin(button)
            pin.drive_low() if line.strip() == "down" else pin.drive_high()

    threading.Thread(target=hands, daemon=True).start()
    return factory


def simulated(chip: int) -> Any:
    """Lgpio's factory on a simulated chip, which it is told belongs to a Raspberry Pi 3."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        from gpiozero.pins.lgpio import LGPIOFactory

    class OnSimulatedChip(LGPIOFactory):  # type: ignore[misc]  # gpiozero has no types
        def _get_revision(self) -> int:
            return PI_3B

    return OnSimulatedChip(chip=chip)


if __name__ == "__main__":
    state = StateFolder(Path(sys.argv[1]))
    config = load(state.config)
    Device.pin_factory = simulated(int(sys.argv[2])) if len(sys.argv) > 2 else _mock(config.panel.button)
    sys.exit(serve(state, config))
