"""The box's own key: its account at a ledger, and its name towards other boxes."""

from pathlib import Path

from appliance.core.errors import OwnerMustAct
from appliance.core.files import write_durably
from appliance.core.keys import Key


def own_key(path: Path) -> Key:
    """The key in a file of 64 hex digits, made the first time. Raises OwnerMustAct where it is damaged."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        key = Key.make()
        write_durably(path, key.secret.hex().encode() + b"\n")
        return key
    except (OSError, UnicodeDecodeError) as error:
        raise OwnerMustAct(f"The box's key {path} cannot be read ({type(error).__name__}).") from error
    try:
        return Key(bytes.fromhex(text))
    except ValueError as error:
        raise OwnerMustAct(
            f"The box's key {path} is damaged. Put your copy back: without it nobody gets at the account."
        ) from error
