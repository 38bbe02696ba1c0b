"""Switching the machine off: systemd does it where its owner allows it, and no process of ours may.

A unit asks by a file in its own runtime folder. `seedbox-power-off.path` waits for that file and starts
`poweroff.target`, which ends every service in order first. Whoever takes over the daemon can thus do one
thing more than before, and needs neither a rule for polkit nor a helper that runs as root. Disabling the path
unit takes the right away.
"""

import os
import subprocess
from pathlib import Path

UNIT = "seedbox-power-off.path"
_NAME = "power-off"


def power_off() -> bool:
    """Ask systemd to switch the machine off; False where that is not possible or not allowed here.

    Only a unit with a runtime folder can ask (RUNTIME_DIRECTORY, systemd.exec(5)): a box in the foreground
    never switches off its owner's computer. Blocks for as long as systemd needs to answer.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if not folder or not _waited_for():
        return False
    try:
        Path(folder, _NAME).touch()
    except OSError:
        return False
    return True


def _waited_for() -> bool:
    try:
        asked = subprocess.run(["systemctl", "is-active", "--quiet", UNIT], timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
