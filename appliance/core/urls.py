"""Web addresses as logs, events and messages may show them."""

from urllib.parse import urlsplit

_LONGEST = 100


def shown_url(url: str) -> str:
    """Scheme, host and the last part of the path: user, password, query and folders may be secrets."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    folders, _, name = parts.path.rpartition("/")
    shown = f"{parts.scheme}://{host}{port}{'/...' if folders.strip('/') else ''}/{name}"
    return "".join(char if char.isprintable() else "?" for char in shown)[:_LONGEST]
