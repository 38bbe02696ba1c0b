"""How busy the machine is: pressure, load and memory."""

import re

from appliance.adapters.board.files import KernelFiles, thousandths
from appliance.domain.governor.readings import Pressure

_AMOUNT = re.compile(r"([0-9]{1,18})\s+kB", re.ASCII)
_CPUS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def pressure(kernel: KernelFiles, resource: str) -> Pressure | None:
    """Pressure stall information of `cpu`, `io` or `memory` (Linux: accounting/psi.rst).

    None where the kernel was built or booted without it.
    """
    return parse_pressure(kernel.text(f"proc/pressure/{resource}") or "", cpu=resource == "cpu")


def parse_pressure(text: str, *, cpu: bool = False) -> Pressure | None:
    """The two lines of a pressure file; one of a cgroup reads the same.

    For the cpu of a whole system, `full` has no meaning; kernels before 5.13 leave its line out.
    """
    found = {"full avg10": 0, "full avg60": 0} if cpu else {}
    for line in text.splitlines():
        found |= _shares(line)
    try:
        return Pressure(
            some10=found["some avg10"],
            some60=found["some avg60"],
            full10=found["full avg10"],
            full60=found["full avg60"],
        )
    except KeyError:
        return None


def _shares(line: str) -> dict[str, int]:
    """Ppm by name, such as `some avg10`, of a line such as `some avg10=0.52 avg60=0.10 … total=12345`."""
    kind, *fields = line.split() or [""]
    named = (field.partition("=") for field in fields)
    shares = ((name, thousandths(value)) for name, _, value in named)
    return {f"{kind} {name}": min(1_000_000, share * 10) for name, share in shares if share is not None}


def load_milli(kernel: KernelFiles) -> int | None:
    """Load average of the last minute (proc(5)), thousandths for each processor that is switched on."""
    load = thousandths((kernel.text("proc/loadavg") or "").partition(" ")[0])
    processors = count_processors(kernel.text("sys/devices/system/cpu/online") or "")
    return load // processors if load is not None and processors else None


def count_processors(text: str) -> int:
    """How many a list such as `0-3,6` names (Linux: ABI/stable/sysfs-devices-system-cpu); 0: unreadable."""
    count = 0
    for part in text.split(","):
        found = _CPUS.fullmatch(part.strip())
        if not found:
            return 0
        count += max(0, int(found[2] or found[1]) - int(found[1]) + 1)
    return count


def memory(kernel: KernelFiles) -> dict[str, int]:
    """/proc/meminfo (proc(5)) in bytes, by its names such as `MemTotal`; what is no amount is left out."""
    return parse_memory(kernel.lines("proc/meminfo"))


def parse_memory(lines: list[str]) -> dict[str, int]:
    """The amounts among lines such as `MemTotal:  943512 kB`; see `memory`."""
    named = (line.partition(":") for line in lines)
    amounts = ((name, _AMOUNT.fullmatch(rest.strip())) for name, _, rest in named)
    return {name: int(amount[1]) * 1024 for name, amount in amounts if amount}
