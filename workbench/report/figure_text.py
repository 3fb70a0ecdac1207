"""The text of figures: its width, fonts for characters that the figures' own font lacks, and replacements."""

from __future__ import annotations

import functools
import logging
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from workbench.control_characters import escape_controls

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"
"""The font of figures, which matplotlib brings along."""

REPLACEMENT = "□"
"""Stands for characters that no installed font has."""

# The width, in ems, of a character that the font lacks: of a Chinese or Japanese one or an emoji, and of others.
_WIDE, _NARROW = 1.0, 0.65
# Fonts that matplotlib brings along for formulas or for boxes: their characters are not those of the code points.
_SPECIAL_FONTS = re.compile(r"cm\w+\d|STIX(Size|NonUnicode)|Last Resort|DejaVu .*Display")
# Joiners and variants, which mean nothing without the character before them.
_MODIFIERS = "\u200d\ufe0e\ufe0f"


def measure_text(text: str) -> float:
    """Return the width of a text in ems, which are the size of its letters; a typical letter takes 0.58."""
    return sum(map(_measure_character, text))


def elide(text: object, limit: int, width: float) -> str:
    """Return a text in one line that fits, with an ellipsis in place of its middle.

    Args:
        text: control characters in it become escapes.
        limit: the most characters.
        width: the greatest width in ems.
    """
    words = " ".join(escape_controls(str(text)).split())
    for length in range(min(limit, len(words)), 0, -1):
        shown = cut_middle(words, length)
        if measure_text(shown) <= width:
            return shown
    return words[:1]


def cut_middle(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, with an ellipsis in place of its middle."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 1].rstrip()}…{text[len(text) - tail :].lstrip()}"


@contextmanager
def use_available_fonts(figure: Figure) -> Iterator[None]:
    """Draw every character of a figure inside the block: with another installed font, or as one box for a run of them.

    Control characters become escapes. The figure's texts are as before at the end.
    """
    texts = list(_iter_texts(figure))
    lacking = {character for text in texts for character in escape_controls(text) if not _font_has(character)}
    with _silence_font_search():
        found = _fallback().find(lacking)
        missing = {character for character in lacking if character not in found}
        families = [FONT, *dict.fromkeys(found.values())]
        with _change_texts(figure, lambda text: _replace_runs(escape_controls(text), missing), families):
            yield


@contextmanager
def keep_characters(figure: Figure) -> Iterator[None]:
    """Draw a figure inside the block whose reader has other fonts: only control characters become escapes."""
    with _change_texts(figure, escape_controls, [FONT]), warnings.catch_warnings():
        # Matplotlib measures the text with its own fonts, and warns of characters that these lack.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


class FontFallback:
    """The search for installed fonts that have certain characters; each character is searched for once."""

    def __init__(self, families: Iterable[str], list_characters: Callable[[str], Iterable[str]]) -> None:
        """Set the fonts, the preferred first, and the function that reads the characters of one."""
        self._families = tuple(families)
        self._list_characters = list_characters
        self._known: dict[str, str | None] = {"\n": None}

    def find(self, characters: Iterable[str]) -> dict[str, str]:
        """Return a font for each character that one has."""
        wanted = set(characters)
        rest = wanted - self._known.keys()
        for family in self._families if rest else ():
            has = rest.intersection(self._list_characters(family))
            self._known |= dict.fromkeys(has, family)
            rest -= has
            if not rest:
                break
        self._known |= dict.fromkeys(rest)
        fonts = {character: self._known[character] for character in sorted(wanted)}
        return {character: family for character, family in fonts.items() if family is not None}


def _replace_runs(text: str, missing: set[str]) -> str:
    """Return a text with one box for each run of missing characters and of what modifies them."""
    if not missing.intersection(text):
        return text
    run = f"[{re.escape(''.join(sorted(missing)))}][{re.escape(''.join(sorted(missing)))}{_MODIFIERS}]*"
    return re.sub(run, REPLACEMENT, text)


def _iter_texts(figure: Figure) -> Iterator[str]:
    from matplotlib.text import Text

    for artist in figure.findobj(Text):
        yield artist.get_text()
    for axis in _iter_axes(figure):
        for label in axis.get_ticklabels():
            yield label.get_text()


def _iter_axes(figure: Figure) -> Iterator[Axis]:
    for axes in figure.axes:
        yield from (axes.xaxis, axes.yaxis)


@contextmanager
def _change_texts(figure: Figure, change: Callable[[str], str], families: list[str]) -> Iterator[None]:
    """Change the texts and the fonts of a figure inside the block."""
    from matplotlib.text import Text

    with ExitStack() as restored:
        for artist in figure.findobj(Text):
            before, after = artist.get_text(), change(artist.get_text())
            if after != before:
                restored.callback(artist.set_text, before)
                artist.set_text(after)
            if len(families) > 1:
                restored.callback(artist.set_fontfamily, artist.get_fontfamily())
                artist.set_fontfamily(families)
        # Labels of ticks are made anew whenever the figure is drawn; axes may share what makes them.
        formatters: set[Any] = {axis.get_major_formatter() for axis in _iter_axes(figure)}
        for formatter in formatters:
            formatter.format_ticks = functools.partial(_format_ticks, formatter.format_ticks, change)
            restored.callback(delattr, formatter, "format_ticks")
        yield


def _format_ticks(format_ticks: Callable[[Any], list[str]], change: Callable[[str], str], values: Any) -> list[str]:
    return [change(label) for label in format_ticks(values)]


@contextmanager
def _silence_font_search() -> Iterator[None]:
    """Keep matplotlib from reporting inside the block that a font has no bold face and that it takes another."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@functools.lru_cache(maxsize=4096)
def _measure_character(character: str) -> float:
    from matplotlib.ft2font import LoadFlags

    if not _font_has(character):
        return _WIDE if unicodedata.east_asian_width(character) in "WF" else _NARROW
    glyph = _base_font().load_char(ord(character), flags=LoadFlags.NO_HINTING)
    # In units of 1/65536 point, at a size of one point.
    return float(glyph.linearHoriAdvance) / 65536


@functools.lru_cache(maxsize=1)
def _base_font() -> FT2Font:
    font = _open_font(FONT, "normal")
    font.set_size(1, 72)
    return font


@functools.lru_cache(maxsize=1)
def _base_characters() -> frozenset[int]:
    return frozenset(_base_font().get_charmap())


def _font_has(character: str) -> bool:
    """Return whether the figures' font has a character; it has a line feed in the sense that nothing is missing."""
    return character == "\n" or ord(character) in _base_characters()


@functools.lru_cache(maxsize=1)
def _fallback() -> FontFallback:
    from matplotlib.font_manager import fontManager

    names = {entry.name for entry in fontManager.ttflist} - {FONT}
    usable = [name for name in names if not _SPECIAL_FONTS.match(name)]
    # Fonts without serifs look like the figures' own.
    return FontFallback(sorted(usable, key=lambda name: ("sans" not in name.lower(), name)), _list_characters)


def _list_characters(family: str) -> list[str]:
    """Return the characters that a font has in its regular and in its bold face; none for one that cannot be drawn."""
    try:
        regular, bold = (_open_font(family, weight) for weight in ("normal", "bold"))
    except (OSError, RuntimeError, ValueError):
        return []
    # Fonts of coloured emoji are pictures of one size, which matplotlib does not draw.
    if not (regular.scalable and bold.scalable):
        return []
    return [chr(code) for code in regular.get_charmap().keys() & bold.get_charmap().keys()]


def _open_font(family: str, weight: str) -> FT2Font:
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    properties = FontProperties(family=[family], weight=weight)
    return FT2Font(findfont(properties, fallback_to_default=False))
