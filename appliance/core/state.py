"""The state folder: where the box keeps each thing that it must find again."""

import os
from dataclasses import dataclass
from pathlib import Path

SYSTEM_STATE = Path("/var/lib/seedbox")
SYSTEM_SOCKET = Path("/run/seedbox/control.sock")
SYSTEM_CONFIG = Path("/etc/seedbox/seedbox.toml")


@dataclass(frozen=True, slots=True)
class StateFolder:
    """All state of one box under one folder."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration file: /etc's for a box that systemd runs, else the folder's own."""
        return SYSTEM_CONFIG if self.path == SYSTEM_STATE else self.path / "seedbox.toml"

    @property
    def control_socket(self) -> Path:
        """The Unix socket that the daemon answers on."""
        return SYSTEM_SOCKET if self.path == SYSTEM_STATE else self.path / "control.sock"

    @property
    def database(self) -> Path:
        """SQLite; see store/."""
        return self.path / "seedbox.db"

    @property
    def torrents(self) -> Path:
        """One file for each torrent, enough to rebuild the database from."""
        return self.path / "torrents"

    @property
    def identity(self) -> Path:
        """The box's own key: its account at a ledger. Whoever has it has the account."""
        return self.path / "identity.key"

    @property
    def lock(self) -> Path:
        """Locked while a daemon runs on this folder."""
        return self.path / "lock"

    @property
    def being_read(self) -> Path:
        """What is being read of what strangers sent; see core/crashguard.py."""
        return self.path / "being-read"

    @property
    def web(self) -> Path:
        """The folder that the web process alone may read: its password hash and cookie key."""
        return self.path / "web"

    @property
    def page_reset(self) -> Path:
        """A word that changes when the page is to forget its password; the daemon writes it."""
        return self.path / "page-reset"

    def resolve(self, path: str) -> Path:
        """A path of the configuration: `~` is the user's home, a relative path starts here."""
        return self.path / Path(path).expanduser()


def default_state() -> Path:
    """SEEDBOX_STATE, else ./var where that is a state folder, else the system's."""
    if named := os.environ.get("SEEDBOX_STATE"):
        return Path(named).absolute()
    here = Path("var").absolute()
    return here if (here / "seedbox.db").exists() else SYSTEM_STATE
