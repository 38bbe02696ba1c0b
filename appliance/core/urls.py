"""Web addresses as logs, events and messages may show them."""

from urllib.parse import urlsplit

_LONGEST = 100


def shown_url(url: str) -> str:
    """Scheme, host and the last part of the path: user, password, query and folders may be secrets."""
    try:
        parts = urlsplit(url)
        host = _host(parts.hostname or "")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return _printable(f"{parts.scheme}://{host}{port}{_short_path(parts.path)}")[:_LONGEST]


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _short_path(path: str) -> str:
    folders, _, name = path.rpartition("/")
    return f"/.../{name}" if folders.strip("/") else f"/{name}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
