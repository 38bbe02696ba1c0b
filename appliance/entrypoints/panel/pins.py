"""The pins of a light and a button, by gpiozero over the kernel's GPIO character device (lgpio)."""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.core.config import PanelConfig
from appliance.core.errors import OwnerMustAct, SeedboxError

if TYPE_CHECKING:
    from gpiozero.pins import Factory

PWM_HZ = 100
"""Fast enough for the eye; lgpio makes the pulses in a thread of its own, two wake-ups for each."""


class NoGpio(SeedboxError):
    """There is nothing here that a light or a button could be connected to."""


class Lamp(Protocol):
    """A light."""

    def shine(self, percent: int) -> None:
        """Be so bright, from now on."""
        ...

    def close(self) -> None:
        """Go out, and leave the pin to others."""
        ...


class PinContact(Protocol):
    """A button's contact."""

    def closed(self) -> bool:
        """Whether it is pressed at this moment."""
        ...

    def close(self) -> None:
        """Leave the pin to others."""
        ...


@dataclass(frozen=True, slots=True)
class Pins:
    """What is connected."""

    lamp: Lamp | None
    contact: PinContact | None


def open_pins(keys: PanelConfig, factory: "Factory | None" = None) -> Pins:
    """The configured pins; `factory` is gpiozero's best one for this machine unless given.

    Raises NoGpio where there is none or none is wanted, OwnerMustAct where a pin cannot be had.
    """
    if keys.led < 0 and keys.button < 0:
        raise NoGpio("panel.led and panel.button are -1")
    if keys.led == keys.button:
        raise OwnerMustAct(
            f"panel.led and panel.button are both pin {keys.led}; set one of them to another pin, or to -1."
        )
    factory = factory or _factory()
    lamp: Lamp | None = None
    if keys.led >= 0:
        with _naming("led", keys.led):
            lamp = _Led(keys.led, keys.led_active_low, factory)
    try:
        return Pins(lamp, _contact(keys.button, factory))
    except OwnerMustAct:
        if lamp:
            lamp.close()
        raise


def _contact(pin: int, factory: "Factory") -> PinContact | None:
    if pin < 0:
        return None
    with _naming("button", pin):
        return _Button(pin, factory)


@contextlib.contextmanager
def _naming(key: str, pin: int) -> Iterator[None]:
    """Have whatever goes wrong with a pin say which one, and what to do."""
    try:
        yield
    except Exception as error:  # gpiozero's errors, lgpio's own, and OSError from the kernel
        raise OwnerMustAct(
            f"panel.{key} is pin {pin}, which cannot be used ({error}). Stop the other program that uses it, "
            f"or set panel.{key} in seedbox.toml to another pin, or to -1."
        ) from error


def _factory() -> "Factory":
    """The factory of pins: lgpio where it is there, else what gpiozero or GPIOZERO_PIN_FACTORY chooses."""
    try:
        from gpiozero import Device
        from gpiozero.exc import GPIOZeroError
    except ImportError as error:
        raise NoGpio(str(error)) from error
    # lgpio makes a named pipe in the working directory when it is imported.
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(record=True) as tried,
    ):
        warnings.simplefilter("always")
        try:
            Device.ensure_pin_factory()
        except (GPIOZeroError, ImportError, OSError) as error:
            # Why the first and best one would not do is more telling than that none would.
            raise NoGpio(str(tried[0].message if tried else error)) from error
    return Device.pin_factory


class _Led:
    """An LED; pulses are made only while it is neither dark nor fully lit."""

    def __init__(self, pin: int, active_low: bool, factory: "Factory") -> None:
        from gpiozero import PWMLED

        self._device = PWMLED(pin, active_high=not active_low, frequency=None, pin_factory=factory)
        self._pulses = True
        """This pin can do them, as far as is known."""

    def shine(self, percent: int) -> None:
        """Be so bright."""
        self._device.value = self._dim(percent) if 0 < percent < 100 else self._plain(percent >= 100)

    def _plain(self, lit: bool) -> float:
        if self._device.frequency is not None:
            self._device.frequency = None
        return float(lit)

    def _dim(self, percent: int) -> float:
        from gpiozero import PinPWMUnsupported

        if self._pulses and self._device.frequency is None:
            try:
                self._device.frequency = PWM_HZ
            except PinPWMUnsupported:
                self._pulses = False
        return percent / 100 if self._pulses else float(percent >= 50)

    def close(self) -> None:
        """Go out."""
        if not self._device.closed:
            self.shine(0)
            self._device.close()


class _Button:
    """A button to ground.

    It is looked at again and again rather than waited for: lgpio waits for edges by looking 2,000 times a
    second. That is why this is gpiozero's InputDevice and not its Button, which waits for edges.
    """

    def __init__(self, pin: int, factory: "Factory") -> None:
        from gpiozero import InputDevice

        self._device = InputDevice(pin, pull_up=True, pin_factory=factory)

    def closed(self) -> bool:
        """Whether it is pressed."""
        return bool(self._device.is_active)

    def close(self) -> None:
        """Leave the pin."""
        self._device.close()
