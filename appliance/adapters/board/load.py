"""How busy the machine is: pressure, load and memory."""

import re

from appliance.adapters.board.files import KernelFiles, thousandths, whole
from appliance.domain.governor.readings import Pressure

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
    found: dict[str, int] = {}
    for line in text.splitlines():
        kind, *fields = line.split() or [""]
        for field in fields:
            name, _, value = field.partition("=")
            if kind in ("some", "full") and (share := thousandths(value)) is not None:
                found[f"{kind} {name}"] = min(1_000_000, share * 10)
    if cpu:
        found = {"full avg10": 0, "full avg60": 0} | found
    try:
        return Pressure(
            some10=found["some avg10"],
            some60=found["some avg60"],
            full10=found["full avg10"],
            full60=found["full avg60"],
        )
    except KeyError:
        return None


def load_milli(kernel: KernelFiles) -> int | None:
    """Load average of the last minute (proc(5)), thousandths for each processor that is switched on."""
    load = thousandths(((kernel.text("proc/loadavg") or "").split() or [""])[0])
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
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if (
            len(fields) == 2
            and fields[1] == "kB"
            and (amount := whole(fields[0])) is not None
            and amount >= 0
        ):
            found[name] = amount * 1024
    return found
