"""QR codes as SVG."""

from markupsafe import Markup


def qr(text: str, error: str) -> Markup:
    """The QR code of a text, readable with 7 % (`error` is `l`) or 15 % (`m`) of it damaged."""
    # Few pages need it, so it is imported when the first one is shown.
    import segno

    code = segno.make_qr(text, error=error)
    return Markup(code.svg_inline(border=4, light="#fff", svgclass="qr", omitsize=True))  # noqa: S704
