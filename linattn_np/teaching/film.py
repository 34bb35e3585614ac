"""A moving picture that lives in the notebook's saved output: frames and a range input, without a kernel and without a
network.
"""

import base64
import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..progress import in_notebook
from .display import escape
from .figures import Knob, display_picture, png, smaller, words
from .profiles import profile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 300_000  # bytes of one moving picture, its still included
COLOURS = (256, 64, 32)  # of a frame's palette: the most that fit the limit
HOW = (
    "One frame of a moving picture. To see it move, trust the notebook in JupyterLab, or open the page that jupyter nbconvert "
    "--to html makes of it."
)

# The whole script. It stands in the picture's onload and not in a <script>: whoever strips scripts drops the attributes without a
# trace,
# and the still and the line HOW remain. Both controls and their words are made here, so that no dead control is ever seen.
# Nothing
# moves by itself, which is what prefers-reduced-motion asks for. The two attributes keep Jupyter's own keys out of the way.
SCRIPT = """
this.onload = null;
const img = this, box = img.closest('[data-film]'), film = JSON.parse(box.dataset.film);
const said = box.querySelector('[data-said]'), controls = [];
const show = () => {
  let at = 0, place = [];
  for (const [knob, input, value] of controls) {
    at = at * knob.values.length + Number(input.value);
    value.textContent = knob.values[input.value];
    input.setAttribute('aria-valuetext', value.textContent);
    place.push(knob.label + ' = ' + value.textContent);
  }
  const frame = film.frames[at];
  img.src = 'data:image/png;base64,' + frame.png;
  img.alt = film.alt + ' Shown at ' + place.join(', ') + '. ' + frame.words;
  said.textContent = frame.words;
};
for (const knob of film.knobs) {
  const label = document.createElement('label'), input = document.createElement('input'), value = document.createElement('b');
  Object.assign(input, {type: 'range', min: 0, max: knob.values.length - 1, step: 1, value: knob.start, oninput: show});
  input.setAttribute('aria-label', knob.label);
  input.style.cssText = 'flex:0 1 320px;margin:0 10px';
  label.style.cssText = 'display:flex;align-items:center;margin:4px 0';
  value.setAttribute('aria-hidden', 'true');
  label.append(knob.label, input, value);
  box.insertBefore(label, img);
  controls.push([knob, input, value]);
}
box.querySelector('[data-how]').remove();
said.setAttribute('aria-live', 'polite');
box.setAttribute('data-lm-suppress-shortcuts', 'true');
box.onkeydown = event => event.stopPropagation();
show();
"""


def moving(draw: Callable[..., Any], alt: str, **knobs: Knob) -> None:
    """``draw(**settings)`` -> figure, drawn at every position of the knobs and kept in the notebook: it moves without a kernel.

    Each knob is ``knob(values, start, label)``, its name an argument of ``draw``; with several knobs there is a frame for each
    combination. ``draw`` may also return (figure, words): a sentence on this frame, written under it and read aloud when it
    changes. ``alt`` says what is to be seen in all frames. It moves in JupyterLab, kernel or not, once the notebook is trusted,
    and in exported HTML; where scripts are stripped the frame at the start positions stands there, and a line says how to see it
    move.

    >>> def draw(step):
    ...     figure, axes = la.plotting.new_figure(width=5.0, height=3.4)
    ...     axes[0, 0].plot(etas, losses), axes[0, 0].axvline(step)
    ...     return figure, f"At {step:.1f} the loss is {loss(step):.2f}."
    >>> moving(draw, "Loss against step: a parabola with a mark.", step=knob((0.2, 0.4, 0.6, 0.8), 0.4, "step"))

    At most 300 kB in all, about 25 frames of 5 by 3.5 inches: fewer where there are many dots, more where there are a few lines.
    In the smoke profile only the ends of each knob and its start are drawn. Raises ValueError when the frames are too large.
    """
    if not knobs:
        raise ValueError("knobs: expected at least one, such as step=knob((1, 2, 3), 1, 'step'), got none")
    place = _place(knobs)
    if not in_notebook():
        display_picture(b"", f"{alt} Shown at {place}.")
        return
    film = Film(draw, alt, knobs if profile() != "smoke" else {name: _shortened(k) for name, k in knobs.items()})
    display_picture(film.still, film.alt, {"text/html": film.page}, colours=film.colours)


class Film:
    """The frames of a moving picture: ``page``, its HTML; ``still`` and ``alt``, the frame that it starts with and its
    description.
    """

    def __init__(self, draw: Callable[..., Any], alt: str, knobs: dict[str, Knob]) -> None:
        drawn = [_frame(draw, dict(zip(knobs, at, strict=True))) for at in itertools.product(*(k.values for k in knobs.values()))]
        start = 0
        for k in knobs.values():
            start = start * len(k.values) + k.values.index(k.start)
        self.still, said = drawn[start]
        self.alt = f"{alt} Shown at {_place(knobs)}. {said}".strip()
        for self.colours in COLOURS:
            frames = [(base64.b64encode(smaller(picture, self.colours)).decode(), said) for picture, said in drawn]
            self.page = _page(frames, start, alt, knobs)
            size = len(self.page) + len(frames[start][0])
            if size <= LIMIT:
                return
        each = sum(len(picture) for picture, _ in frames) / len(frames)
        raise ValueError(
            f"moving picture: expected at most {LIMIT // 1000} kB, got {size // 1000} kB, {len(frames)} frames of "
            f"{each / 1000:.1f} kB each; take fewer positions, a smaller figure, or draw fewer dots"
        )


def _frame(draw: Callable[..., Any], settings: dict[str, Any]) -> tuple[bytes, str]:
    """The picture at these settings, and the words on it."""
    result: Figure | tuple[Figure, str] = draw(**settings)
    figure, said = result if isinstance(result, tuple) else (result, "")
    return png(figure), said


def _shortened(k: Knob) -> Knob:
    """The ends of a knob and its start."""
    return k._replace(values=tuple(v for v in k.values if v in (k.values[0], k.start, k.values[-1])))


def _place(knobs: dict[str, Knob]) -> str:
    """Where the knobs start, in words."""
    return ", ".join(f"{k.label or name} = {words(k.start)}" for name, k in knobs.items())


def _page(frames: list[tuple[str, str]], start: int, alt: str, knobs: dict[str, Knob]) -> str:
    """The HTML that moves; without its attributes it is a picture, its place and words, and the line HOW."""
    film = {
        "alt": alt,
        "knobs": [
            {"label": k.label or name, "values": [words(v) for v in k.values], "start": k.values.index(k.start)}
            for name, k in knobs.items()
        ],
        "frames": [{"png": picture, "words": said} for picture, said in frames],
    }
    picture, said = frames[start]
    caption = f"Shown at {_place(knobs)}. {said}".strip()
    return (
        f"<div data-film='{escape(json.dumps(film, ensure_ascii=False))}' role='group' aria-label='moving picture'>"
        f"<img style='max-width:100%' alt='{escape(f'{alt} {caption}')}' src='data:image/png;base64,{picture}' "
        f"onload='{escape(SCRIPT)}'><div data-said=''>{escape(caption)}</div>"
        f"<div data-how='' style='color:#555'>{escape(HOW)}</div></div>"
    )
