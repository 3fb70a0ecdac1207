"""How every figure looks: sizes, inks that read in grey, SVG for a page that may be light or dark, PNG for the rest.

Inks: Paul Tol, "Colour Schemes", SRON/EPS/TN/09-002, issue 3.2, 2021: his muted scheme on white and his light scheme
on black, both made for eyes of every kind. They are put in an order in which neighbours differ in lightness; a series
has a marker and dashes of its own besides.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

WIDTH = 5.2
"""Inches. On a phone that is shown at three quarters, so that its letters stay readable."""
DPI = 150

INK, SOFT, GRID, GROUND = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
"""Of letters and axes, of what stands back, of lines behind the data, of the page."""
INKS = ("#332288", "#cc6677", "#117733", "#999933", "#882255", "#44aa99", "#aa4499")
"""Of the series, in their order."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES = ("", "////", "xxxx")
"""Of bars that have an edge of their ink and no fill, but for the first."""

# Degrees of opacity that are told apart.
_LEVELS = 12
# Points that a letter of a legend is wide, and what stands before and after its words.
_LETTER, _HANDLE = 5.2, 44
# Of a page's pixels in a point.
_PIXELS = 96 / 72
# On a light page and on a dark one.
_THEME = {
    "ink": (INK, "#e6edf3"),
    "soft": (SOFT, "#9da7b1"),
    "grid": (GRID, "#30363d"),
    "ground": (GROUND, "#0d1117"),
    **{
        str(place): (light, dark)
        for place, (light, dark) in enumerate(
            zip(INKS, ("#77aadd", "#ffaabb", "#44bb99", "#bbcc33", "#ee8866", "#99ddff", "#eedd88"), strict=True), 1
        )
    },
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "workbench",
    # A dollar in somebody's name is a dollar.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.facecolor": "none",
    "figure.constrained_layout.w_pad": 0.08,
    "axes.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.prop_cycle": f"cycler('color', {list(INKS)})",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "hatch.linewidth": 0.7,
}


def apply_style(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in the style of the house; matplotlib's own settings are as they were afterwards."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib

        with matplotlib.rc_context():
            # Whatever the reader's own matplotlibrc says is put aside.
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return wrapped


def canvas(
    title: str, *, height: float = 3.4, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, NDArray[Any]]:
    """Return an empty figure of the usual width, and its axes (rows, columns).

    Args:
        title: what the figure shows.
        height: in inches.
        rows: of axes.
        columns: of axes.
        grid: as for `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left")
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def look(place: int) -> dict[str, Any]:
    """Return ink, marker and dashes of the series at a place from 0; no two of the first 35 are the same."""
    return {
        "color": INKS[place % len(INKS)],
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": DASHES[place % len(DASHES)],
    }


def stroke(place: int) -> dict[str, Any]:
    """Return ink, dashes and width of a line without marks, the first of which stands out; there are five."""
    return {"color": INKS[place], "linestyle": DASHES[place], "linewidth": 1.2 if place else 2.2}


def cut(text: object, most: int = 20) -> str:
    """Return a text that is at most so long, its middle left out."""
    words = " ".join(str(text).split())
    if len(words) <= most:
        return words
    tail = most // 3
    return f"{words[: most - tail - 1].rstrip()}…{words[-tail:].lstrip()}"


def clock(longest: float) -> tuple[float, str]:
    """Return how many seconds the best unit for spans up to `longest` seconds has, and its name."""
    for seconds, unit in ((2 * 86400, "days"), (2 * 3600, "hours"), (180, "minutes")):
        if longest >= seconds:
            return {"days": 86400.0, "hours": 3600.0, "minutes": 60.0}[unit], unit
    return 1.0, "seconds"


def key(figure: Figure, handles: Sequence[Any], *, columns: int = 3) -> None:
    """Put a legend below the axes, in at most so many columns, and make room for all of its lines but the first."""
    longest = max(len(handle.get_label()) for handle in handles)
    fitting = int(WIDTH * 72 / (longest * _LETTER + _HANDLE))
    columns = max(1, min(columns, fitting, len(handles)))
    figure.set_figheight(figure.get_figheight() + 0.19 * (-(-len(handles) // columns) - 1))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, handlelength=2.6)


def plain_numbers(axis: Any, most: int = 5) -> None:
    """Let a logarithmic axis say 0.01 and 100, not powers of ten, and few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def bars(axes: Axes, names: Sequence[str], length: str) -> None:
    """Make room for horizontal bars, named from the top down; `length` says what theirs means."""
    # From the right end on there is room for it below long names, too.
    axes.set_xlabel(length, loc="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def beside(axes: Axes, x: float, y: float, text: str) -> None:
    """Write something to the right of a bar's end."""
    axes.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center", color=SOFT)


def shades(axes: Axes, cells: NDArray[Any], *, ink: str = INKS[0], hatch: str = "", edges: Any = None) -> None:
    """Fill the cells of a grid, the stronger the nearer their value is to 1; those of 0 stay empty.

    Strength is opacity, so that a grid reads on white and on black. Cells of about the same value are one path, which
    keeps a drawing small.

    Args:
        axes: where; y grows upward unless the axes say otherwise.
        cells: (rows, columns) from 0 to 1; row 0 is at the first edge of y.
        ink: of all cells.
        hatch: over all cells.
        edges: (rows + 1,) and (columns + 1,) borders of the cells; -0.5, 0.5 and so on unless given.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = cells.shape
    y, x = edges or (np.arange(rows + 1) - 0.5, np.arange(columns + 1) - 0.5)
    levels = np.ceil(np.clip(cells, 0, 1) * _LEVELS - 1e-9).astype(int)
    for level in range(1, _LEVELS + 1):
        corners = [
            Path([(x[j], y[i]), (x[j + 1], y[i]), (x[j + 1], y[i + 1]), (x[j], y[i + 1]), (x[j], y[i])], closed=True)
            for i, j in np.argwhere(levels == level)
        ]
        if corners:
            path = Path.make_compound_path(*corners)
            axes.add_patch(PathPatch(path, facecolor=(ink, level / _LEVELS), edgecolor=GRID, linewidth=0.3))
            if hatch:
                # SVG does not show a hatch over a fill that is half transparent.
                axes.add_patch(PathPatch(path, facecolor="none", edgecolor=SOFT, linewidth=0, hatch=hatch))
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])


def picture(axes: Axes, pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> None:
    """Put a picture, (height, width, 1 or 3) bytes, on axes whose y grows downward; its pixels stay as they are.

    Args:
        axes: where.
        pixels: of the picture.
        box: left and upper edge, width and height.
    """
    left, top, wide, high = box
    colours = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    axes.imshow(colours, extent=(left, left + wide, top + high, top), interpolation="none", aspect="auto")


def show_image(axes: Axes, width: float, height: float, *, equal: bool = False) -> None:
    """Make axes a sheet for pictures, without lines, y growing downward; `equal`: a unit is as long either way."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal" if equal else "auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def tint(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return values from 0 to 1, (rows, columns), as colours whose lightness rises with them, (rows, columns, 3)."""
    from matplotlib import colormaps

    return np.asarray(colormaps["cividis"](values, bytes=True)[..., :3])


def on(strength: float) -> str:
    """Return the ink of letters on a cell of such strength, as `shades` fills it."""
    return GROUND if strength > 0.5 else INK


def png(figure: Figure) -> bytes:
    """Return a figure as PNG on a white ground."""
    return _saved(figure, format="png", dpi=DPI, facecolor=GROUND)


def svg(figure: Figure) -> str:
    """Return a figure as SVG to be put into a page: text as text, nothing outside referred to, inks as CSS variables.

    The page sets the variables with `css`; without it the figure is as on white. Its ids are like those of no other
    figure.
    """
    text = _saved(figure, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))).decode()
    drawn = text[text.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", drawn, flags=re.DOTALL)
    mark = f"f{hashlib.sha256(drawn.encode()).hexdigest()[:10]}"
    opening, body = drawn.split(">", 1)
    # What stands between tags is somebody's words.
    body = re.sub(r"<[^>]*>", lambda tag: _tag(tag[0], mark), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    found = re.search(r'viewBox="([\d. ]+)"', opening)
    box = found[1] if found else "0 0 1 1"
    width = float(box.split()[2]) * _PIXELS
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" aria-labelledby="{mark}-title" '
        f'style="width: 100%; max-width: {width:.0f}px; height: auto; stroke-linejoin: round; stroke-linecap: butt">\n'
        f'<title id="{mark}-title">{escape(figure.get_suptitle())}</title>{body}'
    )


def css() -> str:
    """Return the style sheet of the figures' inks: dark ones on white and on paper, light ones on a dark page."""
    light, dark = (" ".join(f"--figure-{name}: {inks[place]};" for name, inks in _THEME.items()) for place in range(2))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _tag(tag: str, mark: str) -> str:
    """Return a tag of an SVG with ids that no other figure has, the page's letters and inks that the page may set."""
    tag = re.sub(r' id="[A-Za-z][\w.]*_\d+"', "", tag) if tag.startswith("<g") else tag
    # Two pictures of the same pixels would have one id.
    tag = re.sub(r' id="\w+"', "", tag) if tag.startswith("<image") else tag
    tag = re.sub(r' id="', f' id="{mark}-', tag)
    tag = re.sub(r' xlink:href="#', f' href="#{mark}-', tag)
    tag = re.sub(r' xlink:href="(data:image/png;base64,)\s*', r' href="\1', tag)
    tag = tag.replace("url(#", f"url(#{mark}-")
    tag = re.sub(r"'DejaVu Sans'(, sans-serif)?", "var(--figure-font, system-ui, sans-serif)", tag)
    for name, (light, _) in _THEME.items():
        tag = tag.replace(light, f"var(--figure-{name}, {light})")
    return tag


@apply_style
def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **options)
    return buffer.getvalue()
