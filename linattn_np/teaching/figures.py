"""Figures and sliders that need no backend, and that a page without a kernel shows as a picture with a description."""

import base64
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from ..progress import in_notebook

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100


class Knob(NamedTuple):
    """The positions of a slider, where it starts, and its label."""

    values: tuple[Any, ...]
    start: Any
    label: str


def knob(values: Iterable[Any], start: Any, label: str = "") -> Knob:
    """A slider's positions. Raises ValueError when ``start`` is none of ``values``."""
    values = tuple(float(v) if hasattr(v, "dtype") and v.dtype.kind == "f" else v for v in values)
    if start not in values:
        raise ValueError(f"start: expected one of the {len(values)} values of the knob, got {start!r}")
    return Knob(values, start, label)


def show(figure: "Figure", alt: str) -> None:
    """Show a matplotlib figure. ``alt`` says in a sentence or two what is to be seen; it stands in for the picture."""
    display_picture(png(figure), alt)


def slider(draw: Callable[..., "Figure"], alt: str, **knobs: Knob) -> None:
    """``draw(**settings)`` -> figure, redrawn as the knobs turn. A page without a kernel shows the figure at the start positions.

    Each knob is ``knob(values, start, label)``, its name an argument of ``draw``, which may take a third of a second.
    """
    settings = {name: k.start for name, k in knobs.items()}
    picture = png(draw(**settings))
    if not in_notebook():
        display_picture(picture, alt)
        return
    seconds = _seconds(lambda: png(draw(**settings)))  # of the second drawing: the first one also loads the fonts
    start = ", ".join(f"{k.label or name} = {words(k.start)}" for name, k in knobs.items())
    try:
        box = _widget(draw, picture, knobs)
    except ImportError:
        display_picture(picture, f"{alt} Shown at {start}; with a kernel that has ipywidgets a slider changes it.")
        return
    alt = f"{alt} Shown at {start}; with a kernel a slider changes it."
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display_picture(
        picture, alt, {"application/vnd.jupyter.widget-view+json": view}, {"linattn_slider_seconds": round(seconds, 4)}
    )


def _seconds(work: Callable[[], object]) -> float:
    """How long the work takes by the clock, or by this process's own time where other processes have the cores."""
    began = time.perf_counter(), time.process_time()
    work()
    return min(time.perf_counter() - began[0], time.process_time() - began[1])


def _widget(draw: Callable[..., "Figure"], picture: bytes, knobs: dict[str, Knob]) -> Any:
    """The sliders above the picture that they redraw."""
    import ipywidgets as widgets

    image = widgets.Image(value=picture, format="png", layout={"max_width": "100%", "align_self": "flex-start"})
    sliders = {
        name: widgets.SelectionSlider(
            options=[(words(v), v) for v in k.values], value=k.start, description=k.label or name, continuous_update=False,
            style={"description_width": "initial"}, layout={"width": "min(480px, 100%)"},
        )
        for name, k in knobs.items()
    }  # fmt: skip

    def redraw(**settings: Any) -> None:
        image.value = png(draw(**settings))

    out = widgets.interactive_output(redraw, sliders)
    return widgets.VBox([*sliders.values(), image, out])


def display_picture(
    picture: bytes, alt: str, others: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, colours: int = 256
) -> None:
    """A picture with its description, in a notebook; the description alone in a terminal."""
    if not in_notebook():
        print(f"[figure] {alt}")
        return
    from IPython.display import display

    data = {"text/plain": alt, "image/png": base64.b64encode(smaller(picture, colours)).decode(), **(others or {})}
    display(data, raw=True, metadata={"image/png": {"alt": alt}, **(metadata or {})})


def png(figure: "Figure") -> bytes:
    """The figure as a picture, without the drawing library's name and version in it."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def smaller(picture: bytes, colours: int = 256) -> bytes:
    """The same picture with a palette: a third of the bytes, for the notebooks that are kept."""
    from PIL import Image  # comes with matplotlib

    out = BytesIO()
    coloured = Image.open(BytesIO(picture)).convert("RGB")
    coloured.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    return out.getvalue()


def words(value: object) -> str:
    """A knob's position as it is shown."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
