"""QR codes as SVG, drawn here."""

from markupsafe import Markup


def qr(text: str, error: str) -> Markup:
    """A code to scan; `error` is how much of it may be damaged: `l` 7 %, `m` 15 %."""
    # Needed on few pages, and not before somebody looks at one.
    import segno

    code = segno.make_qr(text, error=error)
    return Markup(code.svg_inline(border=4, light="#fff", svgclass="qr", omitsize=True))  # noqa: S704
