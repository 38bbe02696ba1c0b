"""Where the owner is told: a file with one apprise address a line, or systemd's credential `notify`.

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
from urllib.parse import urlsplit

from appliance.domain.doctor.model import Finding, Verdict

MOST_ADDRESSES = 16
MOST_BYTES = 65_536
_WITH_HOST = {"mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms", "gotify", "gotifys"}
"""Schemes whose host is one; for others apprise may keep a token in its place."""
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+|localhost")


@dataclass(frozen=True, slots=True)
class Address:
    """Somewhere to tell the owner."""

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


def read(file: Path, credentials: str | None) -> Addresses:
    """Read the addresses; a file that is missing means that there are none.

    `credentials` is the folder of systemd's credentials (systemd.exec(5), CREDENTIALS_DIRECTORY), whose
    `notify` comes first.
    """
    if credentials and (kept := Path(credentials) / "notify").exists():
        return _read(kept, ours=False)
    return _read(file, ours=True)


def _read(path: Path, *, ours: bool) -> Addresses:
    try:
        # Not to wait for a writer, should it be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Addresses()
    except OSError as error:
        return _unusable(
            path, f"cannot be read ({error.strerror})", "Let the user that the box runs as own it (chown)."
        )
    with os.fdopen(descriptor, "rb") as opened:
        about = os.fstat(opened.fileno())
        if not stat.S_ISREG(about.st_mode):
            return _unusable(path, "is no file", "Put a file with one address a line in its place.")
        # Systemd guards its credentials with an access list, which shows as a permission of the group.
        if ours and about.st_mode & 0o077:
            return _unusable(
                path,
                "holds passwords, and others than its owner can read it; nobody is told anything",
                f"Close it: chmod 600 {path}",
            )
        try:
            data = opened.read(MOST_BYTES + 1)
        except OSError as error:
            return _unusable(path, f"cannot be read ({error.strerror})", "Check the disk that it lies on.")
    if len(data) > MOST_BYTES:
        return _unusable(path, "is far too long", "Leave one address a line in it.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _unusable(path, "is not UTF-8", "Save it as UTF-8.")
    return _parsed(path, text)


def _unusable(path: Path, says: str, remedy: str) -> Addresses:
    trouble = Finding("notify-file", Verdict.WARNING, f"The file {path} {says}.", remedy)
    return Addresses(source=str(path), troubles=(trouble,), readable=False)


def _parsed(path: Path, text: str) -> Addresses:
    found: list[Address] = []
    wrong: list[int] = []
    labels: dict[str, int] = {}
    for number, url in _lines(text):
        if len(found) == MOST_ADDRESSES or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]{0,31}://[!-~]+", url):
            wrong.append(number)
            continue
        label = shown(url)
        labels[label] = labels.get(label, 0) + 1
        unique = label if labels[label] == 1 else f"{label} #{labels[label]}"
        found.append(Address(unique, number, url))
    troubles = [bad_line(str(path), number) for number in wrong]
    return Addresses(tuple(found), str(path), tuple(troubles))


def bad_line(source: str, number: int) -> Finding:
    """A line that is no address. What stands there is not repeated: it may be a password."""
    return Finding(
        f"notify-file:{number}",
        Verdict.WARNING,
        f"Line {number} of {source} is no address to which the box can send.",
        f"Write it as apprise does, such as mailto://user:password@example.com, percent-encoded, "
        f"at most {MOST_ADDRESSES} in all.",
    )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield number, stripped


def shown(url: str) -> str:
    """What may be shown of an address: its scheme, and its host where it is sure that this is one."""
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
