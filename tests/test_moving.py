"""The moving picture as HTML: one frame a position, the still without its script, within the limit.

(In a browser: tests/browser/.)
"""

import html
import itertools
import json
from html.parser import HTMLParser

import pytest

from linattn_np import plotting, teaching
from linattn_np.teaching import figures
from linattn_np.teaching import film as films

KNOBS = {"slope": figures.knob((-1.0, 0.5, 2.0), 0.5, "slope"), "end": figures.knob((1, 2), 2, "the end")}


def draw(slope, end):
    figure, axes = plotting.new_figure(width=3.0, height=2.0)
    axes[0, 0].plot([0, end], [0, slope * end])
    axes[0, 0].set(xlim=(0, 2), ylim=(-4, 4))
    return figure, f"It's <{slope * end}>."


class Tags(HTMLParser):
    """The attributes of each tag, and the text between."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def film():
    return films.Film(draw, 'A "line".', KNOBS)


def test_there_is_a_frame_for_each_combination_in_the_order_the_script_counts(film):
    tags = Tags(film.page).tags
    data = json.loads(tags[0][1]["data-film"])
    assert [knob["values"] for knob in data["knobs"]] == [["-1", "0.5", "2"], ["1", "2"]]
    assert [(knob["label"], knob["start"]) for knob in data["knobs"]] == [("slope", 1), ("the end", 1)]
    expected = [f"It's <{slope * end}>." for slope, end in itertools.product((-1.0, 0.5, 2.0), (1, 2))]
    assert [frame["words"] for frame in data["frames"]] == expected
    assert len({frame["png"] for frame in data["frames"]}) == 6


def test_without_its_script_a_still_and_a_line_remain(film):
    found = Tags(film.page)
    assert [tag for tag, _ in found.tags] == ["div", "img", "div", "div"], (
        "no control, no script of its own, nothing to be loaded"
    )
    image = found.tags[1][1]
    data = json.loads(found.tags[0][1]["data-film"])
    assert image["src"] == "data:image/png;base64," + data["frames"][3]["png"]
    assert image["alt"] == film.alt == 'A "line". Shown at slope = 0.5, the end = 2. It\'s <1.0>.'
    assert found.text == f"Shown at slope = 0.5, the end = 2. It's <1.0>.{films.HOW}"
    assert "http" not in html.unescape(film.page), "no network"


def test_the_script_keeps_to_the_keyboard_and_to_those_who_listen(film):
    script = Tags(film.page).tags[1][1]["onload"]
    for needed in (
        "type: 'range'",
        "aria-label",
        "aria-valuetext",
        "'aria-live', 'polite'",
        "img.alt",
        "data-lm-suppress-shortcuts",
    ):
        assert needed in script
    assert not any(word in script for word in ("setInterval", "setTimeout", "requestAnimationFrame", "transition", "fetch"))


def test_a_picture_that_is_too_large_is_refused(monkeypatch):
    size = len(films.Film(draw, "A.", KNOBS).page)
    monkeypatch.setattr(films, "LIMIT", size // 3)
    with pytest.raises(
        ValueError, match=r"moving picture: expected at most \d+ kB, got \d+ kB, 6 frames of \d\.\d kB each; take fewer"
    ):
        films.Film(draw, "A.", KNOBS)


def test_colours_are_given_up_before_frames(monkeypatch):
    monkeypatch.setattr(films, "LIMIT", len(films.Film(draw, "A.", KNOBS).page))
    assert films.Film(draw, "A.", KNOBS).colours < 256


def test_the_smoke_profile_draws_the_ends_and_the_start():
    long = figures.knob(range(20), 7, "t")
    assert films._shortened(long) == figures.knob((0, 7, 19), 7, "t")
    assert films._shortened(figures.knob((1, 2), 1)).values == (1, 2)


def test_in_a_terminal_it_is_its_description(capsys):
    teaching.moving(draw, "A line.", **KNOBS)
    assert capsys.readouterr().out == "[figure] A line. Shown at slope = 0.5, the end = 2.\n"
    with pytest.raises(ValueError, match="knobs: expected at least one"):
        teaching.moving(draw, "A line.")
