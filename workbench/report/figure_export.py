"""Figures as SVG for a page with a light and a dark mode and as PNG; the style sheet of their colours."""

from __future__ import annotations

import hashlib
import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.report import figure_text
from workbench.report.plot_style import (
    BACKGROUND,
    GRID_COLOR,
    MUTED_COLOR,
    PALETTE,
    TEXT_COLOR,
    apply_style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
"""The resolution of a PNG, in pixels per inch."""

_PIXELS_PER_POINT = 96 / 72
_DARK_PALETTE = ("#77aadd", "#ffaabb", "#44bb99", "#bbcc33", "#ee8866", "#99ddff", "#eedd88")
# The colour on a light and on a dark page, by the name of the CSS variable.
_THEME = {
    "ink": (TEXT_COLOR, "#e6edf3"),
    "soft": (MUTED_COLOR, "#9da7b1"),
    "grid": (GRID_COLOR, "#30363d"),
    "ground": (BACKGROUND, "#0d1117"),
    **{str(number): colors for number, colors in enumerate(zip(PALETTE, _DARK_PALETTE, strict=True), 1)},
}


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG on a white background."""
    with figure_text.use_available_fonts(figure):
        return _save(figure, format="png", dpi=DPI, facecolor=BACKGROUND)


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element for a page: text is text, colours are CSS variables, nothing is external.

    `build_css` sets the variables; without it the figure has the colours of a light page. The ids are unique, since a
    page holds many figures.
    """
    with figure_text.keep_characters(figure):
        text = _save(figure, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))).decode()
    element = text[text.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", element, flags=re.DOTALL)
    prefix = f"f{hashlib.sha256(element.encode()).hexdigest()[:10]}"
    opening, body = element.split(">", 1)
    # Only tags are rewritten: the text between them holds names that users chose.
    body = re.sub(r"<[^>]*>", lambda tag: _rewrite_tag(tag[0], prefix), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    found = re.search(r'viewBox="([\d. ]+)"', opening)
    box = found[1] if found else "0 0 1 1"
    width = float(box.split()[2]) * _PIXELS_PER_POINT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-labelledby="{prefix}-title" '
        f'style="width: 100%; max-width: {width:.0f}px; height: auto; stroke-linejoin: round; stroke-linecap: butt">\n'
        f'<title id="{prefix}-title">{escape(figure.get_suptitle())}</title>{body}'
    )


def build_css() -> str:
    """Return the style sheet of the figures' colours: dark colours on white and on paper, light ones on a dark page."""
    light, dark = (
        " ".join(f"--figure-{name}: {colors[mode]};" for name, colors in _THEME.items()) for mode in range(2)
    )
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _rewrite_tag(tag: str, prefix: str) -> str:
    """Return a tag of an SVG with unique ids, the page's font, and colours as CSS variables."""
    tag = re.sub(r' id="[A-Za-z][\w.]*_\d+"', "", tag) if tag.startswith("<g") else tag
    # Images with the same pixels have the same id, so it is dropped.
    tag = re.sub(r' id="\w+"', "", tag) if tag.startswith("<image") else tag
    tag = re.sub(r' id="', f' id="{prefix}-', tag)
    tag = re.sub(r' xlink:href="#', f' href="#{prefix}-', tag)
    tag = re.sub(r' xlink:href="(data:image/png;base64,)\s*', r' href="\1', tag)
    tag = tag.replace("url(#", f"url(#{prefix}-")
    tag = re.sub(r"'DejaVu Sans'(, sans-serif)?", "var(--figure-font, system-ui, sans-serif)", tag)
    for name, (light, _) in _THEME.items():
        tag = tag.replace(light, f"var(--figure-{name}, {light})")
    return tag


@apply_style
def _save(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()
