"""The addresses for notices: a file with one apprise address per line, or systemd's credential `notify`.

Addresses hold passwords and tokens. Nothing here shows more of one than its scheme, and its host where that
is a host and no token.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from appliance.domain.doctor.model import Finding, warning

MOST_ADDRESSES = 16
MOST_BYTES = 65_536
_WITH_HOST = {"mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms", "gotify", "gotifys"}
"""Schemes whose host is one; for others apprise may keep a token in its place."""
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,31}://[!-~]+")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+|localhost")


@dataclass(frozen=True, slots=True)
class Address:
    """Somewhere to notify the owner."""

    label: str
    """What may be shown of it, such as `mailto://example.com`; no two are the same."""
    line: int
    """In its file, from 1."""
    url: str = field(repr=False)
    """All of it, with its secrets."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What the file says."""

    found: tuple[Address, ...] = ()
    source: str = ""
    """The file that was read; empty where there is none."""
    troubles: tuple[Finding, ...] = ()
    readable: bool = True
    """False: nobody knows what is in it at this moment."""


@dataclass(frozen=True, slots=True)
class AddressFile:
    """The file of addresses, unless systemd's folder of credentials has a `notify` of its own.

    See systemd.exec(5), CREDENTIALS_DIRECTORY.
    """

    path: Path
    credentials: str | None = None

    @property
    def name(self) -> str:
        """The path of the file that the owner writes."""
        return str(self.path)

    def _place(self) -> tuple[Path, int]:
        """Where the addresses are, and the permissions with which they are not used."""
        kept = Path(self.credentials) / "notify" if self.credentials else None
        # Systemd guards its credentials with an access list, which shows as a permission of the group.
        return (kept, 0) if kept and kept.exists() else (self.path, 0o077)

    def read(self) -> Addresses:
        """Read the addresses; a file that is missing means that there are none."""
        path, open_to = self._place()
        try:
            return _parsed(path, _text(path, open_to))
        except FileNotFoundError:
            return Addresses()
        except _UnusableError as unusable:
            trouble = warning("notify-file", f"The file {path} {unusable.says}.", unusable.remedy)
            return Addresses(source=str(path), troubles=(trouble,), readable=False)


class _UnusableError(Exception):
    """Why the file of addresses cannot be used, and what to do."""

    def __init__(self, says: str, remedy: str) -> None:
        super().__init__(says)
        self.says, self.remedy = says, remedy


def _text(path: Path, open_to: int) -> str:
    """The file's text. Raises FileNotFoundError and _UnusableError.

    `open_to`: permissions with which it is not used, as others could read the passwords in it.
    """
    try:
        # Not to wait for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = "Make the user that the box runs as its owner (chown)."
        raise _UnusableError(f"cannot be read ({error.strerror})", remedy) from error
    with os.fdopen(descriptor, "rb") as opened:
        _check(path, os.fstat(opened.fileno()).st_mode, open_to)
        return _decoded(_read(opened))


def _read(opened: BinaryIO) -> bytes:
    try:
        return opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise _UnusableError(f"cannot be read ({error.strerror})", "Check the disk that it is on.") from error


def _decoded(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _UnusableError("is far too long", "Keep only addresses in it, one per line.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _UnusableError("is not UTF-8", "Save it as UTF-8.") from error


def _check(path: Path, mode: int, open_to: int) -> None:
    if not stat.S_ISREG(mode):
        raise _UnusableError("is not a regular file", "Replace it with a file of one address per line.")
    if mode & open_to:
        raise _UnusableError(
            "contains passwords, but other users can read it; no notifications are sent",
            f"Protect it: chmod 600 {path}",
        )


def _parsed(path: Path, text: str) -> Addresses:
    found: list[Address] = []
    wrong: list[int] = []
    labels: dict[str, int] = {}
    for number, url in _lines(text):
        if len(found) == MOST_ADDRESSES or not _URL.fullmatch(url):
            wrong.append(number)
            continue
        label = shown(url)
        labels[label] = labels.get(label, 0) + 1
        unique = label if labels[label] == 1 else f"{label} #{labels[label]}"
        found.append(Address(unique, number, url))
    troubles = [bad_line(str(path), number) for number in wrong]
    return Addresses(tuple(found), str(path), tuple(troubles))


def bad_line(source: str, number: int) -> Finding:
    """The finding of a line that is no address. What it says is not repeated: it may be a password."""
    return warning(
        f"notify-file:{number}",
        f"Line {number} of {source} is not an address that the box can send to.",
        "Write it in apprise's format, such as mailto://user:password@example.com, percent-encoded; there "
        f"can be up to {MOST_ADDRESSES} addresses.",
    )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield number, stripped


def shown(url: str) -> str:
    """The part of an address that may be shown: its scheme, and its host where it surely is one."""
    scheme = url.partition("://")[0].lower()
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return f"{scheme}://"
    # A password with an unescaped slash or @ would shift what is taken for the host.
    if scheme not in _WITH_HOST or "@" in parts.path or not _is_host(host):
        return f"{scheme}://"
    return f"{scheme}://{host}"


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST.fullmatch(text))
    return True
