"""One line of the result."""

from dataclasses import dataclass


@dataclass
class Figure:
    """One line of the result."""

    what: str
    value: float
    reference: float | None
    bound: str
    unit: str

    def line(self) -> str:
        ratio = f"{self.value / self.reference:6.2f}" if self.reference else "     -"
        against = f"{self.reference:10.2f}" if self.reference is not None else "         -"
        return f"{self.what:<58} {self.value:10.2f} {against} {ratio}  {self.bound:<16} {self.unit}"
