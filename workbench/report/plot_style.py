"""The style that figures share: sizes, colours, markers, and parts such as legends, bars and cells.

The colours are Paul Tol's ("Colour Schemes", SRON/EPS/TN/09-002, issue 3.2, 2021): his muted scheme on white and his
light scheme on black, both safe for colour-blind readers. They are ordered so that neighbours differ in lightness; each
series also has its own marker and dashes, so that figures are readable in grey.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.report import figure_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

WIDTH = 5.2
"""The width of a figure in inches. A phone shows it at three quarters, at which letters stay readable."""

TEXT_COLOR, MUTED_COLOR, GRID_COLOR, BACKGROUND = "#1f2328", "#59636e", "#d8dee4", "#ffffff"
"""The colours of letters and axes, of secondary text, of grid lines, and of the page."""
PALETTE = ("#332288", "#cc6677", "#117733", "#999933", "#882255", "#44aa99", "#aa4499")
"""The colours of the series, in their order."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.4)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
HATCHES = ("", "////", "xxxx")
"""The hatches of bars; all but the first have an edge in their colour and no fill."""

# Degrees of opacity that a reader can distinguish.
_OPACITY_LEVELS = 12
# Points: the size of letters in a legend, and the width of a handle with its gaps.
_LEGEND_SIZE, _HANDLE_WIDTH = 9, 44
# Ems: the greatest mean width of the letters of a text, what an ellipsis takes beyond, and the distance between texts.
_EMS_A_LETTER, _EMS_ELLIPSIS, _EMS_BETWEEN = 0.6, 0.4, 0.6
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "workbench",
    # Names that hold a dollar are not formulas.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": [figure_text.FONT],
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": _LEGEND_SIZE,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.facecolor": "none",
    "figure.constrained_layout.w_pad": 0.08,
    "axes.facecolor": "none",
    "text.color": TEXT_COLOR,
    "axes.labelcolor": TEXT_COLOR,
    "axes.titlecolor": TEXT_COLOR,
    "axes.edgecolor": MUTED_COLOR,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)})",
    "grid.color": GRID_COLOR,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED_COLOR,
    "ytick.color": MUTED_COLOR,
    "xtick.labelcolor": TEXT_COLOR,
    "ytick.labelcolor": TEXT_COLOR,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "hatch.linewidth": 0.7,
}


def apply_style(draw: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that it draws in this style and leaves matplotlib's settings unchanged."""

    @functools.wraps(draw)
    def draw_in_style(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib

        with matplotlib.rc_context():
            # The user's matplotlibrc has no effect on figures.
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return draw_in_style


def create_figure(
    title: str, *, height: float = 3.4, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, NDArray[Any]]:
    """Return an empty figure of the standard width, and its axes (rows, columns).

    Args:
        title: the title of the figure.
        height: in inches.
        rows: the number of rows of axes.
        columns: the number of columns of axes.
        grid: further arguments of `Figure.subplots`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.02, ha="left")
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def series_style(index: int) -> dict[str, Any]:
    """Return the colour, marker and dashes of a series by its index from 0; the first 35 are distinct."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def line_style(index: int) -> dict[str, Any]:
    """Return the colour, dashes and width of a line without markers, index 0 to 4; the first is the widest."""
    return {"color": PALETTE[index], "linestyle": DASHES[index], "linewidth": 1.2 if index else 2.2}


def shorten(text: object, limit: int = 20) -> str:
    """Return a text of at most `limit` letters of usual width, with an ellipsis in place of its middle."""
    return figure_text.elide(text, limit, limit * _EMS_A_LETTER + _EMS_ELLIPSIS)


def shorten_side_by_side(texts: Sequence[object], width: float, size: float, limit: int = 20) -> list[str]:
    """Return texts that fit side by side, each in the middle of an equal share of a line.

    Args:
        texts: at least one.
        width: the length of the line in inches.
        size: the size of the letters in points.
        limit: the most characters of a text.
    """
    share = width * 72 / size / len(texts) - _EMS_BETWEEN
    return [figure_text.elide(text, limit, share) for text in texts]


def choose_time_unit(longest: float) -> tuple[float, str]:
    """Return the unit for durations up to `longest` seconds: its length in seconds, and its name."""
    for seconds, unit in ((2 * 86400, "days"), (2 * 3600, "hours"), (180, "minutes")):
        if longest >= seconds:
            return {"days": 86400.0, "hours": 3600.0, "minutes": 60.0}[unit], unit
    return 1.0, "seconds"


def add_legend(figure: Figure, handles: Sequence[Any], *, columns: int = 3) -> None:
    """Add a legend below the axes in at most `columns` columns; the figure grows by all of its lines but the first."""
    longest = max(figure_text.measure_text(str(handle.get_label())) for handle in handles)
    fitting = int(WIDTH * 72 / (longest * _LEGEND_SIZE + _HANDLE_WIDTH))
    columns = max(1, min(columns, fitting, len(handles)))
    figure.set_figheight(figure.get_figheight() + 0.19 * (-(-len(handles) // columns) - 1))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, handlelength=2.6)


def use_plain_log_ticks(axis: Any, limit: int = 5) -> None:
    """Label a logarithmic axis with 0.01 and 100 in place of powers of ten, at up to `limit` ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=limit))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def prepare_bars(axes: Axes, names: Sequence[str], length: str) -> None:
    """Prepare axes for horizontal bars, named from top to bottom; `length` is the label of the x axis."""
    # Aligned to the right, the label has room below long names too.
    axes.set_xlabel(length, loc="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def label_bar(axes: Axes, x: float, y: float, text: str) -> None:
    """Write text to the right of the end of a bar."""
    axes.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center", color=MUTED_COLOR)


def draw_cells(axes: Axes, cells: NDArray[Any], *, color: str = PALETTE[0], hatch: str = "", edges: Any = None) -> None:
    """Fill the cells of a grid, with an opacity that grows with their values; cells of 0 stay empty.

    Opacity makes a grid readable on white and on black. Cells of about the same value are one path, which keeps the SVG
    small.

    Args:
        axes: y grows upward unless they are inverted.
        cells: (rows, columns) from 0 to 1; row 0 is at the first edge of y.
        color: the colour of all cells.
        hatch: the hatch of all cells.
        edges: (rows + 1,) and (columns + 1,) borders of the cells; -0.5, 0.5 and so on unless given.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rows, columns = cells.shape
    y, x = edges or (np.arange(rows + 1) - 0.5, np.arange(columns + 1) - 0.5)
    levels = np.ceil(np.clip(cells, 0, 1) * _OPACITY_LEVELS - 1e-9).astype(int)
    for level in range(1, _OPACITY_LEVELS + 1):
        corners = [
            Path([(x[j], y[i]), (x[j + 1], y[i]), (x[j + 1], y[i + 1]), (x[j], y[i + 1]), (x[j], y[i])], closed=True)
            for i, j in np.argwhere(levels == level)
        ]
        if corners:
            path = Path.make_compound_path(*corners)
            axes.add_patch(
                PathPatch(path, facecolor=(color, level / _OPACITY_LEVELS), edgecolor=GRID_COLOR, linewidth=0.3)
            )
            if hatch:
                # SVG shows no hatch over a translucent fill.
                axes.add_patch(PathPatch(path, facecolor="none", edgecolor=MUTED_COLOR, linewidth=0, hatch=hatch))
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])


def draw_image(axes: Axes, pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> None:
    """Draw an image, (height, width, 1 or 3) bytes, without interpolation on axes whose y grows downward.

    Args:
        axes: as `prepare_images` leaves them.
        pixels: the image.
        box: left and upper edge, width and height.
    """
    left, top, width, height = box
    colors = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    axes.imshow(colors, extent=(left, left + width, top + height, top), interpolation="none", aspect="auto")


def prepare_images(axes: Axes, width: float, height: float, *, equal: bool = False) -> None:
    """Prepare axes for images: no lines, y grows downward; with `equal`, units of x and y have the same length."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal" if equal else "auto")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def map_colors(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return values from 0 to 1, (rows, columns), as colours whose lightness grows with them, (rows, columns, 3)."""
    from matplotlib import colormaps

    return np.asarray(colormaps["cividis"](values, bytes=True)[..., :3])


def choose_text_color(opacity: float) -> str:
    """Return a readable colour for text on a cell of `draw_cells`."""
    return BACKGROUND if opacity > 0.5 else TEXT_COLOR
