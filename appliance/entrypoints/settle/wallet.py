"""The wallet's key: from a systemd credential, or from an encrypted file and a passphrase."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_keyfile.keyfile import create_keyfile_json, decode_keyfile_json

from appliance.core.errors import OwnerMustAct
from appliance.core.files import write_durably
from appliance.core.keys import Key

CREDENTIAL = "wallet-key"
SHORTEST_PASSPHRASE = 12


def load(keystore: Path, ask: Callable[[str], str]) -> Key:
    """The key of this process. Raises OwnerMustAct where there is none, or the passphrase is wrong.

    A credential (systemd.exec(5), LoadCredential=) is 64 hex digits; the file is Web3 Secret Storage,
    version 3.
    """
    if given := _credential(CREDENTIAL):
        return _given_key(given)
    kept = _kept(keystore)
    try:
        return Key(bytes(decode_keyfile_json(kept, ask("Passphrase").encode())))
    except (ValueError, KeyError, TypeError) as error:
        raise OwnerMustAct("Wrong passphrase, or the wallet file is damaged.") from error


def _given_key(digits: str) -> Key:
    try:
        return Key(bytes.fromhex(digits))
    except ValueError as error:
        raise OwnerMustAct(f"The credential {CREDENTIAL} is not a key; a key is 64 hex digits.") from error


def _kept(keystore: Path) -> Any:
    try:
        return json.loads(keystore.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OwnerMustAct(
            f"There is no wallet at {keystore}. To create one: seedbox settle --new-wallet"
        ) from error
    except (OSError, ValueError) as error:
        raise OwnerMustAct(f"The wallet {keystore} cannot be read ({type(error).__name__}).") from error


def api_key() -> str:
    """The key for a service of TRON nodes, from the credential `tron-api-key`; empty where there is none."""
    return _credential("tron-api-key")


def _credential(name: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "", name)
    if not folder or not path.exists():
        return ""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OwnerMustAct(f"The credential {name} cannot be read ({type(error).__name__}).") from error


def make(keystore: Path, passphrase: str) -> Key:
    """A new wallet in an encrypted file. Raises OwnerMustAct where one is, or for a short passphrase."""
    if keystore.exists():
        raise OwnerMustAct(f"There is already a wallet at {keystore}; it is never overwritten.")
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise OwnerMustAct(f"The passphrase needs at least {SHORTEST_PASSPHRASE} characters.")
    key = Key.make()
    kept = create_keyfile_json(key.secret, passphrase.encode(), kdf="scrypt")
    write_durably(keystore, json.dumps(kept).encode())
    keystore.chmod(0o600)
    return key
