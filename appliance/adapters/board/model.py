"""The model of the board or computer, as its firmware states it."""

from appliance.adapters.board.files import KernelFiles

LONGEST = 80
_UNSET = ("", "none", "default string", "to be filled by o.e.m.", "system product name", "not specified")
"""What makers of mainboards leave in the DMI table."""


def board_model(kernel: KernelFiles) -> str:
    """The name of the board, such as `Raspberry Pi 4 Model B Rev 1.4`; empty where it is not known.

    From the device tree (/proc/device-tree/model), else from the DMI table (/sys/class/dmi/id).
    """
    if model := kernel.text("proc/device-tree/model"):
        return model[:LONGEST]
    for maker, name in (("sys_vendor", "product_name"), ("board_vendor", "board_name")):
        if named := _dmi(kernel, name):
            made = _dmi(kernel, maker)
            return named[:LONGEST] if named.startswith(made) else f"{made} {named}"[:LONGEST]
    return ""


def _dmi(kernel: KernelFiles, name: str) -> str:
    text = kernel.text(f"sys/class/dmi/id/{name}") or ""
    return "" if text.lower() in _UNSET else text
