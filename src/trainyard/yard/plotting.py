"""One look for all figures, and files whose bytes depend on the data alone.

Colours are those of Okabe and Ito (2008), which people with any common colour blindness can tell apart; where two
things share a panel they differ in shape or hatching as well. matplotlib is imported only while a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainyard.yard.files import atomic_open

BLACK, GREY, LIGHT = "#222222", "#8a8a8a", "#cfcfcf"
ORANGE, SKY, GREEN, BLUE, RED = "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
SPLIT_COLOURS = {"train": GREY, "val": BLUE, "test": RED}
SPLIT_LINES = {"train": ":", "val": "--", "test": "-"}

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # Ships with matplotlib, so every machine draws the same letters.
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def figure(out: Path, *, width: float, height: float) -> Iterator[Any]:
    """Give a figure of `width` x `height` inches that is written to `out` as PNG on a clean exit.

    It is drawn without a window system and without the user's own style; the file carries neither date nor version.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # All but the backend, which is the caller's own and would not be set back.
    style: dict[Any, Any] = dict(mpl.rcParamsDefault)
    style.update(_STYLE)
    del style["backend"]
    with mpl.rc_context(style):
        drawing = Figure(figsize=(width, height), layout="constrained")
        yield drawing
        with atomic_open(out) as handle:
            drawing.savefig(handle, format="png", dpi=110, metadata={"Software": None})


def note(axes: Any, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=GREY, transform=axes.transAxes)


def panels(drawing: Any, count: int, *, columns: int) -> list[Any]:
    """Panels in reading order, `columns` to a row; only as many as asked for."""
    rows = -(-count // columns)
    grid: list[Any] = drawing.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[count:]:
        unused.remove()
    return grid[:count]
