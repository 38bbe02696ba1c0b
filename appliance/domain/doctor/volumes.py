"""Findings about the folders for content and the drives under them."""

from collections.abc import Iterator

from appliance.core.units import show_bytes
from appliance.domain.doctor.model import Finding, error, ok, unknown, warning
from appliance.domain.volumes import faults
from appliance.domain.volumes.faults import Fault
from appliance.domain.volumes.volume import Volume


def examine_volume(volume: Volume) -> list[Finding]:
    """One finding for each thing that can go wrong with a volume, each with a name of its own."""
    found = [_presence(volume), *_writing(volume)]
    if volume.read_error:
        found.append(_error("drive-reading", volume, faults.read_failed(volume.path, volume.read_error)))
    elif not volume.present:
        found.append(_unseen("drive-reading", volume))
    return [*found, *_health(volume)]


def _presence(volume: Volume) -> Finding:
    if not volume.present:
        return _error("drive", volume, faults.absence(volume.path, volume.condition, volume.why))
    space = "" if volume.free is None else f", {show_bytes(volume.free)} free"
    return ok(f"drive:{volume.path}", f"The content folder {volume.path} is OK{space}.")


def _writing(volume: Volume) -> Iterator[Finding]:
    if not volume.present:
        yield _unseen("drive-read-only", volume)
        yield _unseen("drive-writing", volume)
    elif volume.read_only:
        yield _error("drive-read-only", volume, faults.read_only(volume.path))
        yield _unseen("drive-writing", volume)
    elif volume.write_error:
        yield _error("drive-writing", volume, faults.write_failed(volume.path, volume.write_error))
    elif volume.writable is None:
        yield unknown(f"drive-writing:{volume.path}", f"Nothing has been written to {volume.path} yet.")


def _health(volume: Volume) -> Iterator[Finding]:
    if volume.failing:
        yield _error("drive-health", volume, faults.failing(volume.path, volume.failing))
    elif volume.worn and volume.wear_percent is not None:
        yield warning(f"drive-health:{volume.path}", *faults.worn(volume.path, volume.wear_percent))
    elif volume.healthy is None:
        says = f"The drive with {volume.path} does not report whether it is failing."
        yield unknown(f"drive-health:{volume.path}", says)
    else:
        yield ok(f"drive-health:{volume.path}", f"The drive with {volume.path} reports no failure.")


def _unseen(check: str, volume: Volume) -> Finding:
    return unknown(f"{check}:{volume.path}", f"The drive with {volume.path} cannot be examined now.")


def _error(check: str, volume: Volume, fault: Fault) -> Finding:
    return error(f"{check}:{volume.path}", *fault)
