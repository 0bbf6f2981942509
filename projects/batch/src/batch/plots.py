"""How plots look and become bytes: the same ones for the same figures; no Dagster here.

matplotlib takes a second to import, so that only functions that draw import it.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, MUTED, INK = "#2563eb", "#b8c0cc", "#374151"
"""Colours of what a plot is about, of what it is compared with, and of words and lines. `svg_element` can leave them
to the page."""


@contextmanager
def house_style() -> Iterator[None]:
    """Draw within this: settings of the machine or the user do not count, fonts are those that matplotlib brings."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "axes.edgecolor": INK,
                "axes.labelcolor": INK,
                "font.family": "DejaVu Sans",
                "font.size": 9,
                "svg.fonttype": "none",
                "svg.hashsalt": "platform",
                "text.color": INK,
                "text.parse_math": False,
                "xtick.color": INK,
                "ytick.color": INK,
            }
        )
        yield


def plain(axes: "Axes") -> None:
    """Without what carries no figure: the frame and the ticks."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def svg_element(figure: "Figure", name: str, says: str) -> str:
    """An element for an HTML page that draws itself in the page's `--accent`, `--muted` and `--ink`.

    Several stand in one page: `name` keeps their ids apart. `says` is what those are told who do not see it.
    """
    text = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", transparent=True, metadata=no_metadata)
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'((?: id|href)="#?|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in ((ACCENT, "accent"), (MUTED, "muted"), (INK, "ink")):
        svg = svg.replace(colour, f"var(--{variable})")
    return svg.replace("<svg", f'<svg class="plot" role="img" aria-label="{escape(says)}"', 1)


def png(figure: "Figure", dpi: int, *, transparent: bool = False) -> bytes:
    """A picture for people's own documents, or a small one for Dagster's UI."""
    found = io.BytesIO()
    figure.savefig(
        found,
        format="png",
        dpi=dpi,
        transparent=transparent,
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    return found.getvalue()
