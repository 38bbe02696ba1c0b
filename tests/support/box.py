"""A real daemon on a state folder of its own, spoken to through its control socket."""

import json
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from appliance.control import money
from appliance.control.box import GetStatus, ListEvents, SayHello
from appliance.control.client import ControlClient, DaemonAway
from appliance.control.command import Command
from appliance.control.intake import AddTorrent, GetJob, JobAnswer, Options, ShareFolder
from appliance.control.torrents import ShowTorrent, TorrentRow, TorrentState
from appliance.core.errors import SeedboxError
from appliance.core.keys import Address
from tests.support.addresses import address as own_address
from tests.support.processes import end, start
from tests.support.until import until

A = TypeVar("A")
SEEDBOX = (sys.executable, "-m", "appliance.entrypoints.cli")


class Box:
    """Starts `seedbox daemon`; the log of a failed test is printed at its end."""

    def __init__(
        self,
        folder: Path,
        *,
        content: Path | None = None,
        prefix: tuple[str, ...] = (),
        address: str = "",
        **keys: Any,
    ) -> None:
        """`keys` are configuration keys as `table__key`; the box keeps to a loopback address of its own."""
        self.folder = folder
        self.address = address or own_address()
        self.content = content or folder / "content"
        self.prefix = prefix
        self.env: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(content__root=str(self.content), content__share=[str(folder.parent)], **keys)
        self.client = ControlClient(folder / "control.sock", timeout=60)
        self.process: Any = None

    def configure(self, **keys: Any) -> None:
        """Write seedbox.toml."""
        tables: dict[str, dict[str, Any]] = {
            "network": {
                "listen_addresses": [self.address],
                "dht": False,
                "lsd": False,
                "upnp": False,
                "natpmp": False,
            },
            # Its probes would leave this machine.
            "governor": {"courtesy": False},
        }
        for name, value in keys.items():
            table, _, key = name.partition("__")
            tables.setdefault(table, {})[key] = value
        text = ""
        for table, entries in tables.items():
            text += f"[{table}]\n" + "".join(
                f"{key} = {json.dumps(value)}\n" for key, value in entries.items()
            )
        (self.folder / "seedbox.toml").write_text(text)

    def start(self) -> Self:
        """Start the daemon and wait until it answers."""
        self.launch()
        until(self._answers, "the daemon's answer")
        return self

    def launch(self) -> None:
        """Start the daemon, and do not wait."""
        with (self.folder / "log").open("ab") as log:
            self.process = start(
                [*self.prefix, *SEEDBOX, "--state", self.folder, "daemon"],
                log,
                self.env,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended: {self.log()}"
        try:
            self.client.call(SayHello())
        except DaemonAway:
            return False
        return True

    def call(self, command: Command[A]) -> A:
        """Carry out a command."""
        return self.client.call(command)

    def stop(self) -> int:
        """End it in order; returns the exit code."""
        self.client.close()
        return end(self.process)

    def kill(self) -> None:
        """A power cut for the process: nothing is saved."""
        self.client.close()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def row(self, id: str) -> TorrentRow:
        """One torrent."""
        return self.call(ShowTorrent(id=id)).row

    def wait_state(self, id: str, state: TorrentState, seconds: float = 30.0) -> TorrentRow:
        """Wait until a torrent is in a state."""

        def there() -> TorrentRow | None:
            row = self.row(id)
            return row if row.state is state else None

        try:
            return until(there, f"state {state}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; now {self.row(id)}") from None

    def add(self, metainfo: bytes, **options: Any) -> str:
        """Add a .torrent file; returns its id."""
        return self.call(AddTorrent(metainfo=metainfo, options=Options(**options))).id

    def share(self, path: Path) -> str:
        """Share a folder or file in place; returns its id when it is seeded."""
        job = self.call(ShareFolder(path=str(path))).job

        def done() -> JobAnswer | None:
            now = self.call(GetJob(id=job))
            return now if now.done else None

        made = until(done, "the end of hashing", 120)
        assert not made.error, made.error
        self.wait_state(made.torrent, TorrentState.SEEDING)
        return made.torrent

    def wait_ledger(self) -> Address:
        """Wait until the ledger has told it its account; returns the account's address."""
        until(lambda: self.call(money.GetMoney()).as_of, "the ledger")
        return Address(self.call(money.GetMoney()).address)

    def events(self) -> list[str]:
        """What happened, newest first."""
        return [event.text for event in self.call(ListEvents(count=100)).events]

    @property
    def port(self) -> int:
        """The port for peers."""
        return until(lambda: self.call(GetStatus()).listen_port, "a listening port")

    def log(self) -> str:
        """What the daemon said."""
        return (self.folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if kind is not None:
            print(self.log()[-4000:])


def refused(box: Box, command: Command[Any]) -> str:
    """The message with which the box refuses a command."""
    try:
        answer = box.call(command)
    except SeedboxError as error:
        return str(error)
    raise AssertionError(f"not refused: {answer}")
